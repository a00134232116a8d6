import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.metrics.state import sums


def exact(total: sums.Sum) -> float:
    return float(total.total) + float(total.remainder)


@pytest.mark.parametrize("n", [0, 1, 64, 65, 1000, 100_003])
def test_a_sum_is_that_of_exact_arithmetic(rng, n):
    values = rng.uniform(0, 1, n).astype(np.float32)
    assert exact(sums.of(values)) == pytest.approx(math.fsum(values.tolist()), rel=1e-6 if n <= 64 else 1e-12)


def test_terms_that_cancel_leave_the_rest():
    values = np.zeros(99, np.float32)
    values[:3] = 1e8, 1.0, -1e8
    assert exact(sums.of(values)) == 1


def test_ten_million_equal_terms_do_not_drift():
    total = jax.jit(lambda: sums.of(jnp.full(10_000_000, 0.1)))()
    assert exact(total) == pytest.approx(1e7 * float(np.float32(0.1)), rel=1e-7)


def test_merged_sums_are_as_exact_as_one(rng):
    values = rng.uniform(0, 1, 100_000).astype(np.float32)
    parts = jax.vmap(sums.of)(values.reshape(100, 1000))
    total, _ = jax.lax.scan(lambda total, part: (sums.add(total, part), None), sums.zero(()), parts)
    assert exact(total) == pytest.approx(math.fsum(values.tolist()), rel=1e-12)


def test_infinite_and_nan_terms_stay_that():
    values = np.zeros(100, np.float32)
    values[7] = np.inf
    assert exact(sums.of(values)) == np.inf
    values[9] = -np.inf
    assert math.isnan(exact(sums.of(values)))


def test_sums_by_index_of_many_equal_weights_do_not_drift():
    n = 1_000_000
    index = jnp.arange(n) % 3 - 1
    result = sums.to_float(jax.jit(sums.by_index, static_argnums=2)(jnp.full(n, 0.1), index, 2))
    tenth = float(np.float32(0.1))
    np.testing.assert_allclose(result, [333_333 * tenth, 333_333 * tenth], rtol=1e-6)


def test_small_index_dtypes_do_not_wrap():
    result = sums.to_float(sums.by_index(np.ones(1000, np.float32), np.full(1000, 200, np.uint8), 201))
    assert (result[200], result.sum()) == (1000, 1000)


def test_trues_are_ones():
    assert sums.average(np.array([True, False, True, True])) == 0.75
