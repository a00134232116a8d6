import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fjdl import metrics
from tests.support import float64

METRIC = metrics.mean()
entries = st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.integers(0, 1)), min_size=1, max_size=20)


def test_a_mean_over_batches_is_not_the_mean_of_their_means():
    state = METRIC.update(METRIC.init(), jnp.array([1.0, 2.0, 3.0]))
    assert METRIC.compute(METRIC.update(state, jnp.array([10.0]))) == 4


@settings(max_examples=30, deadline=None)
@given(entries, st.integers(1, 4))
def test_merged_states_equal_numpy_however_the_examples_are_split(entries, parts):
    values, weights = np.float32([v for v, _ in entries]), np.float32([w for _, w in entries])
    state = METRIC.init()
    for v, w in zip(np.array_split(values, parts), np.array_split(weights, parts), strict=True):
        state = METRIC.merge(METRIC.update(METRIC.init(), v, weights=w), state)
    expected = values[weights > 0].astype(np.float64).mean() if weights.any() else np.nan
    np.testing.assert_allclose(METRIC.compute(state), expected, rtol=1e-6, atol=1e-4)


def test_a_million_updates_are_as_exact_as_one():
    value = np.float32(0.1)

    def step(state, _):
        return METRIC.update(state, jnp.full(1, value)), None

    state, _ = jax.jit(lambda: jax.lax.scan(step, METRIC.init(), None, length=1_000_000))()
    assert METRIC.compute(state) == pytest.approx(float(value), rel=1e-7)


def test_merging_keeps_what_rounding_lost():
    states = [METRIC.update(METRIC.init(), jnp.array([v])) for v in (1e8, 1.0, 1.0, -1e8)]
    left = METRIC.merge(METRIC.merge(METRIC.merge(states[0], states[1]), states[2]), states[3])
    right = METRIC.merge(states[0], METRIC.merge(states[1], METRIC.merge(states[2], states[3])))
    assert METRIC.compute(left) == METRIC.compute(right) == 0.5


def test_nothing_seen_is_nan():
    assert math.isnan(METRIC.compute(METRIC.init()))
    assert math.isnan(metrics.measure(METRIC, jnp.zeros(0)))
    assert math.isnan(metrics.measure(METRIC, jnp.ones(3), weights=jnp.zeros(3)))


def test_nan_counts_only_where_its_weight_does():
    values = jnp.array([1.0, jnp.nan, 3.0])
    assert metrics.measure(METRIC, values, weights=jnp.array([1.0, 0.0, 1.0])) == 2
    assert math.isnan(metrics.measure(METRIC, values))


def test_infinity_stays_infinity():
    state = METRIC.update(METRIC.update(METRIC.init(), jnp.array([jnp.inf])), jnp.array([1.0]))
    assert METRIC.compute(METRIC.merge(state, METRIC.init())) == jnp.inf


def test_bfloat16_values_are_summed_in_float32():
    result = metrics.measure(METRIC, jnp.ones(1000, jnp.bfloat16))
    assert result.dtype == jnp.float32
    assert result == 1


def test_float64_values_keep_their_precision_under_x64():
    with float64():
        assert metrics.measure(METRIC, np.array([1.0, 1.0 + 1e-12])) == pytest.approx(1 + 5e-13, abs=1e-15)
