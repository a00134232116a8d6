import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fjdl.metrics.base import measure
from fjdl.metrics.state import amounts, counts, sums
from fjdl.metrics.state.covariance import MeanAndCovariance, centred, mean_and_covariance
from tests.support import float64

PAIR = mean_and_covariance(2)
update = jax.jit(lambda state, x, weights: PAIR.update(state, x, weights=weights))
merge, compute = jax.jit(PAIR.merge), jax.jit(PAIR.compute)


def assert_near(state, x, *, rtol=1e-6):
    mean, covariance = compute(state)
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(covariance, np.cov(exact, rowvar=False, ddof=0), rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("mean", [0, 1e4, 1e6])
def test_a_mean_of_ten_thousand_deviations_costs_no_digits_batch_by_batch(rng, mean):
    x = np.float32(mean + rng.standard_normal((1000, 16, 2)))

    def step(state, batch):
        return PAIR.update(state, batch), None

    state, _ = jax.jit(lambda x: jax.lax.scan(step, PAIR.init(), x))(x)
    assert_near(state, x.reshape(-1, 2), rtol=1e-5)


def test_single_examples_one_by_one_give_the_moments_of_all(rng):
    x = np.float32(1e4 + rng.standard_normal((20_000, 2)))
    state, _ = jax.jit(lambda x: jax.lax.scan(lambda s, row: (PAIR.update(s, row), None), PAIR.init(), x))(x)
    assert_near(state, x, rtol=1e-5)


def test_one_huge_batch_is_added_up_without_drift(rng):
    x = np.float32(rng.uniform(size=(1_000_000, 2)))
    assert_near(update(PAIR.init(), x, np.ones(len(x))), x, rtol=3e-6)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(-1, 2), min_size=8, max_size=8).map(np.array), st.sampled_from([0, 1e4]), st.integers(0, 99)
)
def test_batches_of_any_sizes_merge_to_the_result_of_all(part, mean, seed):
    x = np.float32(mean + np.random.default_rng(seed).standard_normal((8, 2)))
    x[part < 0] = np.nan
    states = [update(PAIR.init(), x, np.float32(part == i)) for i in range(3)]
    kept = x[part >= 0]
    for merged in (merge(merge(*states[:2]), states[2]), merge(states[0], merge(states[2], states[1]))):
        if len(kept):
            assert_near(merged, kept, rtol=1e-5)
        else:
            assert all(np.isnan(leaf).all() for leaf in compute(merged))


def test_a_constant_has_no_variance_at_all():
    x = np.full((7, 2), 0.1, np.float32)
    state = update(update(PAIR.init(), x, np.ones(7)), x, np.ones(7))
    mean, covariance = compute(state)
    np.testing.assert_array_equal(mean, x[0])
    np.testing.assert_array_equal(covariance, np.zeros((2, 2)))


def test_merging_with_nothing_changes_no_bit_even_far_from_zero():
    state = update(PAIR.init(), np.float32([[1e30, 1], [1e30, 2]]), np.ones(2))
    for merged in (merge(state, PAIR.init()), merge(PAIR.init(), state)):
        jax.tree.map(np.testing.assert_array_equal, merged, state)


def test_counts_beyond_float32_and_int32_stay_exact():
    one = update(PAIR.init(), np.float32([[1, 2]]), np.ones(1))
    many = one._replace(seen=counts.Count(jnp.uint32(0), jnp.uint32(2**32 - 1)))
    seen = merge(many, one).seen
    assert (int(seen.high), int(seen.low)) == (1, 0)


def test_a_nan_that_counts_makes_the_result_nan():
    mean, _ = compute(update(PAIR.init(), np.float32([[1, np.nan], [2, 3]]), np.ones(2)))
    assert np.isnan(mean[1])
    assert mean[0] == 1.5


def test_integers_and_more_axes_are_examples_too():
    mean, covariance = measure(mean_and_covariance(2), np.uint8([[[255, 0], [1, 2]]]))
    np.testing.assert_allclose(mean, [128, 1])
    np.testing.assert_allclose(covariance, [[127**2, -127], [-127, 1]])


def test_float64_keeps_its_digits():
    with float64():
        mean, covariance = measure(PAIR, np.array([[1e9, 1.0], [1e9 + 1, 1 + 1e-9]]))
    np.testing.assert_allclose(covariance[0], [0.25, 2.5e-10], rtol=1e-6)
    assert float(mean[0]) == 1e9 + 0.5


def test_public_merge_is_that_of_the_metric():
    empty = MeanAndCovariance(counts.zero(), amounts.zero(), sums.zero((2,)), sums.zero((2, 2)))
    jax.tree.map(np.testing.assert_array_equal, merge(empty, empty), PAIR.init())


def test_centred_rows_without_rows_and_without_weight():
    assert centred(np.zeros((0, 3), np.float32)).shape == (0, 3)
    np.testing.assert_array_equal(centred(np.float32([1, np.nan]), np.zeros(2, np.float32)), [0, 0])


def test_no_variables_are_refused():
    with pytest.raises(ValueError, match=r"^variables must be at least 1, got 0$"):
        mean_and_covariance(0)
