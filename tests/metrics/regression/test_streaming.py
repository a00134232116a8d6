import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from fjdl.metrics.regression import streaming

ALL = (
    streaming.mse(),
    streaming.rmse(),
    streaming.mae(),
    streaming.mape(),
    streaming.largest_error(),
)
THEIRS = (
    sklearn.metrics.mean_squared_error, sklearn.metrics.root_mean_squared_error, sklearn.metrics.mean_absolute_error,
    sklearn.metrics.mean_absolute_percentage_error, sklearn.metrics.max_error,
)  # fmt: skip


@jax.jit
def update(states, predictions, targets, weights):
    return [m.update(s, predictions, targets, weights=weights) for m, s in zip(ALL, states, strict=True)]


@jax.jit
def merge(a, b):
    return [m.merge(*pair) for m, *pair in zip(ALL, a, b, strict=True)]


@jax.jit
def compute(states):
    return [m.compute(s) for m, s in zip(ALL, states, strict=True)]


def test_padded_batches_merge_to_scikit_learn_of_all_rows(rng):
    targets, predictions = np.float32(rng.standard_normal((2, 5, 4)))
    weights = rng.integers(0, 2, (5, 4))
    predictions[weights == 0] = np.nan
    start = [m.init() for m in ALL]
    states = [update(start, p, t, w) for p, t, w in zip(predictions, targets, weights, strict=True)]
    total = merge(merge(states[0], states[1]), merge(states[2], merge(states[3], states[4])))
    kept = targets[weights > 0].astype(np.float64), predictions[weights > 0].astype(np.float64)
    for value, theirs in zip(compute(total), THEIRS, strict=True):
        np.testing.assert_allclose(value, theirs(*kept), rtol=1e-6)


def test_nothing_seen_is_nan_and_nothing_merged_changes_nothing():
    start = [m.init() for m in ALL]
    assert all(np.isnan(value) for value in compute(start))
    one = update(start, jnp.ones(4), jnp.zeros(4), jnp.ones(4))
    np.testing.assert_array_equal(compute(merge(start, one)), compute(merge(one, start)))


def test_a_root_is_taken_once_and_is_no_mean_of_roots():
    metric = streaming.rmse()
    state = metric.update(metric.init(), jnp.zeros(3), jnp.zeros(3))
    assert metric.compute(metric.update(state, jnp.zeros(1), jnp.full(1, 4.0))) == 2


def test_a_nan_that_counts_is_the_largest_error():
    metric = streaming.largest_error()
    state = metric.update(metric.init(), jnp.array([jnp.nan]), jnp.zeros(1))
    assert np.isnan(metric.compute(metric.merge(state, metric.update(metric.init(), jnp.ones(1), jnp.zeros(1)))))


def test_unequal_shapes_are_refused():
    with pytest.raises(ValueError, match=r"argument `targets` must be .*batch=\(3, 1\), got f(32|64)\[3\]"):
        streaming.mae().update(streaming.mae().init(), np.zeros((3, 1), np.float32), np.zeros(3, np.float32))
