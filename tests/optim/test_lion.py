import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.optim.lion import lion, scale_by_lion


def test_the_step_mixes_with_b1_and_the_memory_with_b2() -> None:
    transformation = scale_by_lion(b1=0.5, b2=0.9)
    gradient = jnp.asarray([1.0, -1e-20, 0.0])
    first, state = transformation.update(gradient, transformation.init(gradient))
    np.testing.assert_array_equal(first, [1.0, -1.0, 0.0])
    np.testing.assert_allclose(state.mean, [0.1, -1e-21, 0.0], rtol=1e-6)
    second, _ = transformation.update(jnp.asarray([-0.09, -1e-22, 0.0]), state)  # 0.5 · 0.1 - 0.5 · 0.09 > 0
    np.testing.assert_array_equal(second, [1.0, -1.0, 0.0])


def test_an_entry_whose_gradient_stops_goes_on_at_full_speed_as_documented() -> None:
    transformation = scale_by_lion(b2=0.9)
    _, state = transformation.update(jnp.asarray([1.0]), transformation.init(jnp.zeros(1)))
    for _ in range(5):
        update, state = transformation.update(jnp.zeros(1), state)
    np.testing.assert_array_equal(update, 1.0)


def test_a_coarse_mean_is_optax_s() -> None:
    ours, theirs = scale_by_lion(mean_dtype=jnp.bfloat16), optax.scale_by_lion(mu_dtype=jnp.bfloat16)
    gradients = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    states = [ours.init(jnp.zeros(4)), theirs.init(jnp.zeros(4))]
    for gradient in gradients:
        actual, states[0] = ours.update(gradient, states[0])
        expected, states[1] = theirs.update(gradient, states[1])
        np.testing.assert_array_equal(actual, expected)
    assert states[0].mean.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(states[0].mean), np.float32(states[1].mu), rtol=2**-7)


@pytest.mark.parametrize("name", ["b1", "b2"])
def test_options_outside_of_their_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} must lie in \[0, 1\), got 1.0"):
        lion(0.1, **{name: 1.0})
