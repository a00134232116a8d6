import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.optim.adagrad import adagrad, scale_by_adagrad


def test_equal_gradients_shrink_as_the_root_of_time() -> None:
    optimizer = scale_by_adagrad()
    gradient = jnp.asarray([2.0, -1e-3])
    state = optimizer.init(gradient)
    for t in range(1, 5):
        updates, state = optimizer.update(gradient, state)
        np.testing.assert_allclose(updates, np.sign(gradient) / t**0.5, rtol=1e-6)


def test_the_total_starts_where_it_is_told_to() -> None:
    optimizer = scale_by_adagrad(initial=9.0)
    gradient = jnp.asarray([4.0, 0.0], jnp.bfloat16)
    updates, state = optimizer.update(gradient, optimizer.init(gradient))
    np.testing.assert_array_equal(state.total, np.asarray([25.0, 9.0], np.float32))
    np.testing.assert_allclose(np.asarray(updates, np.float32), [0.8, 0.0], rtol=2**-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": -0.1}, "initial must not be negative, got -0.1"),
        ({"initial": float("nan")}, "initial must not be negative, got nan"),
        ({"eps": 0.0}, "eps must be positive, got 0.0"),
    ],
)
def test_options_outside_of_their_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adagrad(0.1, **options)
