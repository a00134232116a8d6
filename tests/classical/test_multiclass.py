from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier

from fjdl.classical import decision, fit_binary, multilabel, one_vs_one, one_vs_rest, pairs, predict_binary, vote
from tests.support import float64

ORACLE = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000)
FIT = partial(fit_binary, l2=1.0, iterations=15)


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    y = rng.integers(0, 4, 80)
    return rng.standard_normal((80, 3)) + np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [1, 1, 2]])[y], y


def test_one_vs_rest_equals_scikit_learn(data) -> None:
    x, y = data
    oracle = OneVsRestClassifier(ORACLE).fit(x, y)
    with float64():
        outputs = decision(one_vs_rest(x, y, classes=4, fit=FIT), jnp.asarray(x))
    np.testing.assert_allclose(outputs, oracle.decision_function(x), rtol=1e-5, atol=1e-6)


def test_one_vs_one_with_majority_vote_equals_scikit_learn(data) -> None:
    x, y = data
    oracle = OneVsOneClassifier(ORACLE).fit(x, y)
    with float64():
        outputs = decision(one_vs_one(x, y, classes=4, fit=FIT), jnp.asarray(x))
        np.testing.assert_array_equal(vote(outputs, classes=4), oracle.predict(x))
    theirs = np.stack([estimator.decision_function(x) for estimator in oracle.estimators_], axis=1)
    np.testing.assert_allclose(outputs, -theirs, rtol=1e-5, atol=1e-6)


def test_multilabel_equals_scikit_learn(data, rng: np.random.Generator) -> None:
    x, _ = data
    targets = (x @ rng.standard_normal((3, 2)) + rng.standard_normal((80, 2)) > 0).astype(float)
    oracle = MultiOutputClassifier(ORACLE).fit(x, targets)
    with float64():
        found = predict_binary(multilabel(x, targets, fit=FIT), jnp.asarray(x))
    np.testing.assert_array_equal(found, oracle.predict(x))


@pytest.mark.parametrize(("classes", "number"), [(2, 1), (3, 3), (10, 45)])
def test_w48_number_of_pairs(classes: int, number: int) -> None:
    assert len(pairs(classes=classes)) == number == classes * (classes - 1) // 2


def test_votes_by_hand() -> None:
    """Pairs (0, 1), (0, 2), (1, 2): two votes for class 2; then a circle of one vote each, broken by the margins."""
    outputs = jnp.asarray([[1.0, -1.0, -1.0], [1.0, -1.0, 5.0], [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(vote(outputs, classes=3), [2, 1, 2])


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="classes must be at least 2 to form pairs, got 1"):
        pairs(classes=1)
    with pytest.raises(ValueError, match=r"outputs must have 3 columns, got shape \(2, 2\)"):
        vote(jnp.ones((2, 2)), classes=3)
