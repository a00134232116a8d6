import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.optim.adadelta import adadelta, scale_by_adadelta


def test_steps_have_the_units_of_the_parameters() -> None:
    """Whatever the scale of the gradients, once they are far larger than eps."""
    optimizer = scale_by_adadelta(eps=1e-12)
    gradient = jnp.asarray([1.0, 1e3, -1e6])
    state = optimizer.init(gradient)
    for _ in range(3):
        updates, state = optimizer.update(gradient, state)
        np.testing.assert_allclose(updates / updates[:1], [1.0, 1.0, -1.0], rtol=1e-6)


def test_the_rate_is_1_unless_told() -> None:
    gradient = jnp.asarray([2.0, -3.0])
    transformation, optimizer = scale_by_adadelta(), adadelta(1.0)
    expected, _ = transformation.update(gradient, transformation.init(gradient))
    np.testing.assert_array_equal(optimizer.update(gradient, optimizer.init(gradient))[0], -expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"decay": 1.0}, r"decay must lie in \[0, 1\), got 1.0"), ({"eps": 0.0}, "eps must be positive, got 0.0")],
)
def test_options_outside_of_their_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adadelta(0.1, **options)
