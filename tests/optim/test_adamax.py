import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.optim.adamax import adamax, scale_by_adamax


def test_gradients_whose_squares_overflow_still_step() -> None:
    optimizer = scale_by_adamax()
    gradient = jnp.asarray([1e30, -1e-6])
    updates, state = optimizer.update(gradient, optimizer.init(gradient))
    np.testing.assert_allclose(updates, [1.0, -1 / 1.01], rtol=1e-6)
    np.testing.assert_allclose(state.largest, [1e30, 1.01e-6], rtol=1e-6)


def test_the_largest_gradient_is_forgotten_by_b2_a_step() -> None:
    optimizer = scale_by_adamax(b2=0.5)
    state = optimizer.init(jnp.zeros(()))
    seen = []
    for gradient in (8.0, 1.0, 3.0, 0.0):
        _, state = optimizer.update(jnp.asarray(gradient), state)
        seen.append(float(state.largest))
    np.testing.assert_allclose(seen, [8, 4, 3, 1.5], rtol=1e-6)


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
        adamax(0.1, **options)
