from decimal import Decimal, localcontext

import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.optim.radam import radam, scale_by_radam

STEPS = [1, 4, 5, 6, 7, 20, 300, 10_000, 1_000_000, 2**31 - 1]


def rectified(b2: float, t: int) -> float:
    """r of the paper's algorithm 2 to fifty digits, or 1 where ρ ≤ 5."""
    with localcontext() as context:
        context.prec = 50
        b, one = Decimal(str(b2)), Decimal(1)
        power = b**t
        limit = 2 / (one - b) - 1
        length = limit - 2 * t * power / (one - power)
        if length <= 5:
            return 1.0
        return float(((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)).sqrt())


@pytest.mark.parametrize("b2", [0.0, 0.6, 0.7, 0.9, 0.999, 0.9999, 0.99999])
def test_float32_has_the_rectification_of_fifty_digits(b2: float) -> None:
    """With steady gradients of 1 every moment is known, and the update is r."""
    optimizer = scale_by_radam(b1=0.0, b2=b2, eps=1e-30)
    one = jnp.ones(())
    for t in STEPS:
        square = jnp.asarray(1 - b2 ** (t - 1), jnp.float32)
        state = optimizer.init(one)._replace(step=jnp.asarray(t - 1, jnp.int32), square=square)
        np.testing.assert_allclose(optimizer.update(one, state)[0], rectified(b2, t), rtol=5e-6, err_msg=str(t))


def test_a_short_memory_never_trusts_the_second_moment() -> None:
    optimizer = scale_by_radam(b1=0.0, b2=0.6)
    gradient = jnp.asarray([2.0, -3.0])
    state = optimizer.init(gradient)
    for _ in range(10):
        updates, state = optimizer.update(gradient, state)
        np.testing.assert_array_equal(updates, gradient)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"b1": 1.0}, r"b1 must lie in \[0, 1\), got 1.0"),
        ({"b2": -0.1}, r"b2 must lie in \[0, 1\), got -0.1"),
        ({"eps": 0.0}, "eps must be positive, got 0.0"),
    ],
)
def test_options_outside_of_their_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        radam(0.1, **options)
