"""The text equals that of scikit-learn, letter by letter."""

from functools import partial

import jax
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl import metrics
from fjdl.metrics import measure

Y, P = np.array([0, 1, 2, 2, 2, 0]), np.array([0, 0, 2, 2, 1, 0])
W = np.array([0.5, 1, 2, 0.25, 1, 3], np.float32)
NAMES = ["airplane and balloon", "b", "c"]
T, Q = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0]]), np.array([[1, 0, 0], [0, 1, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("arrays", "options"),
    [
        ((Y, P), {}),
        ((Y, P), {"target_names": NAMES, "digits": 4}),
        ((Y, P), {"labels": [2, 0], "target_names": ["c", "a"]}),
        ((Y, P), {"labels": [0, 1, 2, 7], "zero_division": 1.0}),
        ((Y, P), {"labels": [0, 1, 2, 7], "zero_division": np.nan}),
        ((Y, P), {"sample_weight": W}),
        ((Y == 1, P == 1), {}),
        ((T, Q), {}),
        ((T, Q), {"labels": [2, 0], "sample_weight": W[:3], "digits": 0}),
        ((Y[:1], P[:1]), {"digits": 15}),
    ],
)
def test_the_text_equals_that_of_scikit_learn(arrays, options):
    expected = sk.classification_report(*arrays, **{"zero_division": 0.0, **options})
    assert metrics.classification_report(*arrays, **options) == expected


def test_the_matrix_over_batches_gives_the_same_text():
    matrix = measure(metrics.confusion_matrix(3), P, Y)
    expected = sk.classification_report(Y, P, target_names=NAMES)
    assert metrics.classification_report_from(matrix, target_names=NAMES) == expected
    outcomes = measure(metrics.multilabel_confusion(3), Q, T)
    report = metrics.classification_report_from(outcomes)
    assert report == sk.classification_report(T, Q, zero_division=0).partition(" samples avg")[0]


def test_names_of_other_labels_and_traced_arrays_are_refused():
    with pytest.raises(ValueError, match=r"^target_names must name the 3 labels \(0, 1, 2\), got \['a'\]$"):
        metrics.classification_report(Y, P, target_names=["a"])
    with pytest.raises(ValueError, match=r"must be concrete for a text, got traced ones"):
        jax.jit(partial(metrics.classification_report, labels=range(3)))(Y, P)
