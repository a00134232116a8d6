from functools import partial

import jax
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl.metrics import base
from fjdl.metrics.classification import multilabel, rates
from fjdl.metrics.classification.outcomes import Outcomes, two_by_two
from fjdl.metrics.state import amounts, counts

METRIC = multilabel.multilabel_confusion(3)


@pytest.mark.parametrize(
    ("average", "name"), [(rates.macro, "macro"), (rates.micro, "micro"), (rates.weighted, "weighted")]
)
def test_streamed_averages_equal_scikit_learn(rng, average, name):
    y_true, y_pred = rng.integers(0, 2, (2, 12, 3))
    metric = base.then(METRIC, partial(average, rates.f1))
    state = metric.update(metric.init(), y_pred[:6], y_true[:6])
    state = metric.merge(metric.update(metric.init(), y_pred[6:], y_true[6:]), state)
    assert metric.compute(state) == pytest.approx(sk.f1_score(y_true, y_pred, average=name), rel=1e-6)


def test_indicators_per_pixel_take_weights_per_image(rng):
    y_true, y_pred = rng.integers(0, 2, (2, 2, 4, 3))
    result = base.measure(METRIC, y_pred, y_true, weights=np.array([0, 1]))
    np.testing.assert_array_equal(two_by_two(result), sk.multilabel_confusion_matrix(y_true[1], y_pred[1]))


def test_states_count_on_beyond_two_to_the_32():
    start = counts.Count(np.zeros(3, np.uint32), np.full(3, 2**32 - 1, np.uint32))
    state = jax.jit(METRIC.update)(
        Outcomes(*[amounts.zero((3,))._replace(counted=start)] * 4), np.ones((2, 3), bool), np.ones((2, 3), bool)
    )
    np.testing.assert_array_equal(state.true_positives.counted.high, [1, 1, 1])
    np.testing.assert_array_equal(state.true_positives.counted.low, [1, 1, 1])
    np.testing.assert_array_equal(state.false_positives.counted.low, [2**32 - 1] * 3)


def test_fewer_labels_than_one_are_refused():
    with pytest.raises(ValueError, match=r"^labels must be at least 1, got 0$"):
        multilabel.multilabel_confusion(0)
