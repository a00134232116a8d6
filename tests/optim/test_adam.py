import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim


def test_second_moment_of_bfloat16_gradients_does_not_stick() -> None:
    transformation = optim.scale_by_adam()
    state = transformation.init(jnp.zeros((), jnp.bfloat16))
    for _ in range(200):
        _, state = transformation.update(jnp.asarray(1.0, jnp.bfloat16), state)
    np.testing.assert_allclose(state.square, 1 - 0.999**200, rtol=1e-5)


def test_float16_gradients_below_the_root_of_its_smallest_number_still_step() -> None:
    transformation = optim.scale_by_adam()
    gradient = jnp.asarray([1e-5, 0.0], jnp.float16)
    update, _ = transformation.update(gradient, transformation.init(gradient))
    np.testing.assert_allclose(np.asarray(update, np.float32), [1.0, 0.0], rtol=2e-3)


def test_updates_of_a_ten_thousandth_add_up_in_float32_parameters_with_bfloat16_gradients() -> None:
    optimizer = optim.adam(1e-4)
    w = jnp.ones(())
    state = optimizer.init(w)
    for _ in range(100):
        updates, state = optimizer.update(jnp.asarray(1.0, jnp.bfloat16), state, w)
        w = w + updates.astype(jnp.float32)
    np.testing.assert_allclose(w, 0.99, rtol=1e-4)


def test_updates_of_a_ten_thousandth_are_lost_in_bfloat16_parameters_as_documented() -> None:
    w = jnp.ones((), jnp.bfloat16)
    optimizer = optim.adam(1e-4)
    updates, _ = optimizer.update(w, optimizer.init(w), w)
    np.testing.assert_allclose(float(updates), -1e-4, rtol=4e-3)
    assert float(optax.apply_updates(w, updates)) == 1.0


def test_first_float32_step_is_the_sign_of_the_gradient_to_the_last_bits() -> None:
    transformation = optim.scale_by_adam()
    gradient = jnp.asarray([1e3, -1.0, 1e-3])
    update, _ = transformation.update(gradient, transformation.init(gradient))
    np.testing.assert_allclose(update, [1.0, -1.0, 1 / (1 + 1e-5)], rtol=4e-7)


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
        optim.adam(0.1, **options)


def test_adamw_decay_follows_the_schedule_and_spares_biases() -> None:
    rates = [0.1, 0.05, 0.025]
    optimizer = optim.adamw(lambda step: jnp.asarray(rates)[step], weight_decay=0.5, decay_rules=optim.KERNELS)
    params = {"kernel": jnp.ones(2), "bias": jnp.ones(2)}
    zero = jax.tree.map(jnp.zeros_like, params)
    state = optimizer.init(params)
    for _ in rates:
        updates, state = optimizer.update(zero, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["kernel"], np.prod([1 - rate * 0.5 for rate in rates]), rtol=1e-6)
    np.testing.assert_array_equal(params["bias"], 1.0)
