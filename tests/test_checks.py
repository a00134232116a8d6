"""The checks of options: what passes, what is refused, and that a traced number passes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.checks import at_least, known, one_of, within


@pytest.mark.parametrize(
    ("interval", "value", "rule"),
    [
        ("[0, 1)", 1, "must lie in [0, 1), got 1"),
        ("[0, 1)", -0.5, "must lie in [0, 1), got -0.5"),
        ("[0, 1)", math.nan, "must lie in [0, 1), got nan"),
        ("(0, 1]", 0.0, "must lie in (0, 1], got 0.0"),
        ("(0, inf)", math.inf, "must be positive and finite, got inf"),
        ("[0, inf)", -1, "must be finite and not negative, got -1"),
        ("(0, inf]", 0, "must be positive, got 0"),
        ("[0, inf]", -1, "must not be negative, got -1"),
        ("(0, inf]", (2, 0), "must be positive, got (2, 0)"),
        ("[0, 1]", np.float32(2), "must lie in [0, 1], got 2.0"),
        ("[0, 1]", np.array([0.5, 2.0]), "must lie in [0, 1], got [0.5 2. ]"),
        ("[0, 1]", jnp.float32(1.5), "must lie in [0, 1], got 1.5"),
    ],
)
def test_a_number_outside_is_refused_in_one_sentence(interval: str, value: object, rule: str) -> None:
    with pytest.raises(ValueError, match=r"^rate must") as caught:
        within(interval, fine=None, rate=value)
    assert str(caught.value) == f"rate {rule}"


@pytest.mark.parametrize(
    ("interval", "value"),
    [("[0, 1)", 0), ("(0, 1]", 1.0), ("[0, inf]", math.inf), ("(-1, 1)", jnp.float32(0)), ("(0, inf]", (1, 2))],
)
def test_a_number_inside_passes(interval: str, value: object) -> None:
    within(interval, rate=value)


def test_at_least_and_one_of_say_what_was_received() -> None:
    at_least(1, steps=1, none=None, many=(1, 2))
    one_of(("a", "b"), mode="b")
    with pytest.raises(ValueError, match=r"^steps must be at least 1, got 0$"):
        at_least(1, steps=0)
    with pytest.raises(ValueError, match=r"^p must be at least 1, got nan$"):
        at_least(1, p=math.nan)
    with pytest.raises(ValueError, match=r"^mode must be 'a', 'b' or 'c', got 'd'$"):
        one_of(("a", "b", "c"), mode="d")
    with pytest.raises(ValueError, match=r"^mode must be 'a', got None$"):
        one_of(("a",), mode=None)


def test_a_traced_number_passes_and_a_constant_under_a_trace_is_still_checked() -> None:
    def learned(rate: jax.Array) -> jax.Array:
        within("[0, 1)", rate=rate)
        at_least(1, rate=rate)
        return rate

    assert jax.jit(learned)(5.0) == 5.0
    assert jax.grad(learned)(-3.0) == 1.0
    constant = jnp.float32(2.0)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\), got 2.0"):
        jax.jit(lambda: within("[0, 1)", rate=constant))()
    assert known(None) is None
    assert jax.jit(lambda x: [known((x, 2)) is None])(1.0) == [True]
    assert known((jnp.float32(1), 2)).tolist() == [1, 2]
    jax.jit(lambda x: within("[0, 1)", rates=(x, 0.5)))(2.0)
    for check in (lambda x: within("[0, 1)", rates=(x, 1.5)), lambda x: at_least(2, rates=(x, 1.5))):
        with pytest.raises(ValueError, match=r"^rates must .*, 1\.5\)"):
            jax.jit(check)(2.0)
    assert known(3) == 3


def test_an_interval_that_is_written_wrong_is_refused() -> None:
    with pytest.raises(ValueError, match="interval must be written"):
        within("0..1", rate=0.5)
