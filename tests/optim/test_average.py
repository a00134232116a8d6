import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl import optim
from fjdl.optim.average import ema, ema_warmup, swa_init, swa_update
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


def averages(transformation: optax.GradientTransformation, values: np.ndarray) -> np.ndarray:
    state, result = transformation.init(values[0]), []
    for value in values:
        average, state = transformation.update(jnp.asarray(value), state)
        result.append(np.asarray(average, np.float64))
    return np.stack(result)


@pytest.mark.parametrize("debias", [False, True])
def test_the_average_of_updates_is_that_of_optax(debias: bool, rng: np.random.Generator) -> None:
    values = rng.standard_normal((6, 3))
    with float64():
        actual = averages(ema(0.9, debias=debias), values)
        np.testing.assert_allclose(actual, averages(optax.ema(0.9, debias=debias), values), rtol=1e-10)


def test_e79_without_correction_the_first_averages_are_too_small_and_with_it_equal_updates_stay() -> None:
    ones = np.ones((4, 1), np.float32)
    np.testing.assert_allclose(averages(ema(0.9, debias=False), ones)[:, 0], 1 - 0.9 ** np.arange(1, 5), rtol=1e-6)
    np.testing.assert_allclose(averages(ema(0.999), ones), 1.0, rtol=1.2e-7)
    np.testing.assert_array_equal(averages(ema(0.0), ones), 1.0)


def test_e79_only_the_second_moment_without_correction_enlarges_the_first_step_of_adam() -> None:
    with float64():
        gradient = np.asarray([[2.0]])
        mean = averages(ema(0.9, debias=False), gradient)
        square = averages(ema(0.999, debias=False), gradient**2)
    np.testing.assert_allclose(mean / 2, 0.1)
    np.testing.assert_allclose(mean / np.sqrt(square), 3.1622776601683795)


def test_a_coarse_average_of_updates_is_that_of_optax_but_for_rounding(rng: np.random.Generator) -> None:
    values = rng.standard_normal((5, 3)).astype(np.float32)
    expected = averages(optax.ema(0.9, accumulator_dtype=jnp.bfloat16), values)
    coarse = ema(0.9, average_dtype=jnp.bfloat16)
    np.testing.assert_allclose(averages(coarse, values), expected, atol=2**-6)
    assert coarse.init(values[0]).average.dtype == jnp.bfloat16
    assert ema(0.9).init(jnp.zeros(1, jnp.bfloat16)).average.dtype == jnp.float32


def test_the_equal_mean_is_the_averaged_model_of_torch(rng: np.random.Generator) -> None:
    values = rng.standard_normal((7, 3))
    module = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))])
    averaged = torch.optim.swa_utils.AveragedModel(module)
    with float64():
        state = swa_init({"w": jnp.full(3, 9.0)})
        np.testing.assert_array_equal(state.mean["w"], 9.0)
        for value in values:
            module[0].data = torch.tensor(value)
            averaged.update_parameters(module)
            state = swa_update(state, {"w": jnp.asarray(value)})
        np.testing.assert_allclose(state.mean["w"], averaged.module[0].detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(state.mean["w"], values.mean(axis=0), rtol=1e-12)
    assert int(state.models) == 7


def test_the_equal_mean_of_bfloat16_parameters_is_float32_and_its_first_is_exact() -> None:
    params = {"w": jnp.asarray([0.1, 3e38], jnp.bfloat16)}
    with jax.numpy_dtype_promotion("strict"):
        state = swa_update(swa_init({"w": jnp.asarray([1e3, -3e38], jnp.bfloat16)}), params)
    assert state.mean["w"].dtype == jnp.float32
    np.testing.assert_array_equal(state.mean["w"], np.asarray(params["w"], np.float32))


def test_a_decay_that_warms_up_forgets_the_first_parameters() -> None:
    np.testing.assert_allclose(
        [ema_warmup(s, decay=0.99) for s in (0, 8, 889, 891, 2**31 - 1)],
        [0.1, 0.5, 890 / 899, 0.99, 0.99],
        rtol=1e-6,
    )
    average, params = {"w": jnp.zeros(1)}, {"w": jnp.ones(1)}
    decay = ema_warmup(jnp.asarray(0), decay=0.99)
    np.testing.assert_allclose(optim.ema_update(average, params, decay=decay)["w"], 0.9, rtol=1e-6)
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\), got 1.5"):
        ema_warmup(0, decay=1.5)


def test_an_average_of_updates_refuses_a_decay_of_one() -> None:
    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\), got 1.0"):
        ema(1.0)
