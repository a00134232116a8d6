import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import optim
from tests.support import float64


def test_equals_the_averaged_model_of_torch_in_float64(rng: np.random.Generator) -> None:
    values = rng.standard_normal((20, 5))
    oracle = torch.tensor(values[0])
    step = torch.optim.swa_utils.get_ema_avg_fn(0.9)
    with float64():
        average = optim.ema_init({"w": jnp.asarray(values[0])})
        for value in values[1:]:
            average = optim.ema_update(average, {"w": jnp.asarray(value)}, decay=0.9)
            oracle = step(oracle, torch.tensor(value), 1)
        assert average["w"].dtype == jnp.float64
        np.testing.assert_allclose(average["w"], oracle.numpy(), rtol=1e-12, atol=1e-12)


def test_the_first_average_is_the_parameters_and_constant_ones_stay() -> None:
    params = {"w": jnp.asarray([1.0, 0.1, -3.0])}
    average = optim.ema_init(params)
    np.testing.assert_array_equal(average["w"], params["w"])
    np.testing.assert_allclose(optim.ema_update(average, params, decay=0.999)["w"], params["w"], rtol=1.2e-7)


def test_the_average_of_bfloat16_parameters_moves_in_float32() -> None:
    average = optim.ema_init({"w": jnp.ones(2, jnp.bfloat16)})
    with jax.numpy_dtype_promotion("strict"):
        for _ in range(100):
            average = optim.ema_update(average, {"w": jnp.full(2, 2.0, jnp.bfloat16)}, decay=0.9999)
    assert average["w"].dtype == jnp.float32
    np.testing.assert_allclose(average["w"], 2 - 0.9999**100, rtol=1e-5)


def test_the_copy_shares_no_memory_with_the_parameters() -> None:
    params = {"w": jnp.ones(4)}
    average = optim.ema_init(params)
    step = jax.jit(lambda a, p: (optim.ema_update(a, p, decay=0.5), p), donate_argnums=(0, 1))
    np.testing.assert_array_equal(step(average, params)[0]["w"], 1.0)


def test_a_traced_decay_does_not_compile_again() -> None:
    traces = []

    @jax.jit
    def step(average: dict, params: dict, decay: jax.Array) -> dict:
        traces.append(1)
        return optim.ema_update(average, params, decay=decay)

    average = {"w": jnp.zeros(2)}
    for decay in (0.0, 0.5):
        average = step(average, {"w": jnp.ones(2)}, jnp.asarray(decay))
    np.testing.assert_array_equal(average["w"], 1.0)
    assert len(traces) == 1


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_a_decay_outside_of_its_range_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=rf"decay must lie in \[0, 1\], got {decay}"):
        optim.ema_update({"w": jnp.ones(2)}, {"w": jnp.ones(2)}, decay=decay)


def test_trees_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        optim.ema_update({"w": jnp.ones(2)}, {"v": jnp.ones(2)}, decay=0.5)
    with pytest.raises(ValueError, match="argument `value`"):
        optim.ema_update({"w": jnp.ones(2)}, {"w": jnp.ones(3)}, decay=0.5)
