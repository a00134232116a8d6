import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fjdl.metrics.state import counts
from fjdl.metrics.state.counts import Count
from tests.support import float64


def count(number: int) -> Count:
    return Count(jnp.uint32(number >> 32), jnp.uint32(number & 0xFFFFFFFF))


def exact(count: Count) -> int:
    return (int(count.high) << 32) + int(count.low)


@pytest.mark.parametrize("number", [0, 2**8, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63, 2**64 - 4])
@pytest.mark.parametrize("increment", [0, 1, 3])
def test_counts_do_not_stick_or_wrap(number, increment):
    assert exact(jax.jit(counts.add)(count(number), counts.of(jnp.int32(increment)))) == number + increment


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 2**63 - 1))
def test_a_sum_is_that_of_whole_numbers(a, b):
    assert exact(counts.add(count(a), count(b))) == a + b


def test_a_scan_counts_every_step_past_two_to_the_24():
    def step(state, _):
        return counts.add(state, counts.of(jnp.uint32(1))), None

    state, _ = jax.jit(lambda state: jax.lax.scan(step, state, None, length=5))(count(2**24 - 2))
    assert exact(state) == 2**24 + 3


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_to_float_is_near_in_float32_and_exact_in_float64_below_two_to_the_53(number):
    np.testing.assert_allclose(float(counts.to_float(count(number))), number, rtol=2**-23)
    with float64():
        assert float(counts.to_float(count(number >> 11))) == number >> 11


def test_counts_have_any_shape():
    state = counts.add(counts.zero((2, 3)), counts.of(jnp.arange(6).reshape(2, 3)))
    np.testing.assert_array_equal(counts.to_float(state), np.arange(6).reshape(2, 3))
