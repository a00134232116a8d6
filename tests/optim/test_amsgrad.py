import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.optim.amsgrad import amsgrad, scale_by_amsgrad


def test_the_second_moment_never_falls() -> None:
    optimizer = scale_by_amsgrad(b2=0.5)
    state = optimizer.init(jnp.zeros(()))
    squares, largest = [], []
    for gradient in (4.0, 0.0, 2.0, 6.0, 0.0):
        _, state = optimizer.update(jnp.asarray(gradient), state)
        squares.append(float(state.square))
        largest.append(float(state.largest))
    np.testing.assert_allclose(squares, [8, 4, 4, 20, 10], rtol=1e-6)
    np.testing.assert_allclose(largest, [8, 8, 8, 20, 20], rtol=1e-6)


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
        amsgrad(0.1, **options)
