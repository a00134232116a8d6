import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim, tree
from fjdl.optim.guard import all_finite, skip_non_finite
from fjdl.optim.noise import add_noise
from fjdl.optim.plateau import reduce_on_plateau

PARAMS = {"w": jnp.asarray([1.0, -0.0]), "b": jnp.asarray(0.5)}


def moved(optimizer: optax.GradientTransformation, state: object, gradients: object, params: object = PARAMS) -> tuple:
    updates, state = jax.jit(optimizer.update)(gradients, state, params)
    return optax.apply_updates(params, updates), state


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_gradient_leaves_parameters_and_inner_state_to_the_bit_and_is_counted(bad: float) -> None:
    optimizer = skip_non_finite(optim.adam(0.1))
    params, state = moved(optimizer, optimizer.init(PARAMS), PARAMS)
    params["w"] = PARAMS["w"]
    before = tree.digest((params, state.inner))
    for count in (1, 2):
        params, state = moved(optimizer, state, {"w": jnp.asarray([1.0, bad]), "b": jnp.asarray(0.0)}, params)
        assert tree.digest((params, state.inner)) == before
        assert (int(state.skipped), int(state.consecutive)) == (count, count)
    params, state = moved(optimizer, state, PARAMS, params)
    assert tree.digest((params, state.inner)) != before
    assert (int(state.skipped), int(state.consecutive)) == (2, 0)


def test_an_update_that_overflows_float16_is_skipped() -> None:
    params = {"w": jnp.ones(2, jnp.float16)}
    optimizer = skip_non_finite(optim.sgd(1e5))
    params, state = moved(optimizer, optimizer.init(params), params, params)
    np.testing.assert_array_equal(params["w"], 1.0)
    assert int(state.skipped) == 1


def test_a_finite_gradient_whose_square_overflows_does_not_stop_adam_for_good() -> None:
    huge, gradient = {"w": jnp.asarray([1e20])}, {"w": jnp.asarray([1.0])}
    stopped, guarded = optim.adam(0.1), skip_non_finite(optim.adam(0.1))
    for optimizer, expected in ((stopped, 1.0), (guarded, 0.9)):
        params, state = moved(optimizer, optimizer.init(gradient), huge, gradient)
        np.testing.assert_array_equal(params["w"], 1.0)
        np.testing.assert_allclose(moved(optimizer, state, gradient, params)[0]["w"], expected, rtol=1e-6)


def test_an_infinity_that_the_state_starts_with_is_no_fault_and_a_nan_that_enters_is() -> None:
    optimizer = skip_non_finite(reduce_on_plateau(patience=3))
    state = optimizer.init(PARAMS)
    _, state = optimizer.update(PARAMS, state, PARAMS, value=jnp.inf)
    assert (int(state.skipped), int(state.inner.bad)) == (0, 1)
    _, state = optimizer.update(PARAMS, state, PARAMS, value=2.0)
    assert (int(state.skipped), float(state.inner.best)) == (0, 2.0)
    averaged = skip_non_finite(_remember())
    _, state = averaged.update(PARAMS, averaged.init(PARAMS), PARAMS, value=jnp.nan)
    assert (int(state.skipped), float(state.inner)) == (1, 0.0)


def _remember() -> optax.GradientTransformationExtraArgs:
    def update(updates: object, state: jax.Array, params: object, *, value: float) -> tuple:
        return updates, jnp.asarray(value, state.dtype)

    return optax.GradientTransformationExtraArgs(lambda params: jnp.zeros(()), update)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, True),
        ({"a": np.ones(3), "b": np.zeros(0)}, True),
        ({"count": np.int32(3), "on": np.bool_(True), "key": jax.random.key(0)}, True),
        ({"a": np.ones(3), "b": np.float32([0, np.nan])}, False),
        ([jnp.asarray(-jnp.inf, jnp.bfloat16)], False),
    ],
)
def test_all_finite(values: object, expected: bool) -> None:
    assert bool(all_finite(values)) is expected


def test_a_key_in_the_state_is_kept_too() -> None:
    optimizer = skip_non_finite(add_noise(jax.random.key(0), eta=0.1))
    state = optimizer.init(PARAMS)
    _, after = optimizer.update({**PARAMS, "b": jnp.asarray(jnp.nan)}, state, PARAMS)
    _, good = optimizer.update(PARAMS, state, PARAMS)
    start, kept, moved_on = (jax.random.key_data(s.inner.key) for s in (state, after, good))
    np.testing.assert_array_equal(kept, start)
    assert np.any(moved_on != start)
