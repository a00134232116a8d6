"""Kernels of a whole model that are rounded on calibration data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import quant
from fjdl.nn.quantized import Bits, quantized, rounded_on_data
from tests.nn.quantized.test_integers import MODELS, X
from tests.nn.test_folded import drawn

RULES = ((".*", Bits(3, None)),)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_change_less_than_by_the_nearest_integers(name: str) -> None:
    model, few = MODELS[name]
    x = np.random.default_rng(5).standard_normal((64, *few.shape[1:])).astype(np.float32)
    x = x + np.roll(x, 1, axis=-1)  # inputs that go together, of which rounding on data makes use
    params, stats = model.init(jax.random.key(0), x)
    params = drawn(params)
    rounded = rounded_on_data(model, params, stats, [x[:32], x[32:]], rules=RULES)
    small, convert = quantized(model, x, rules=RULES)
    expected, _ = model.apply(params, stats, x, train=False)
    errors = {}
    for kind, kernels in (("nearest", params), ("on data", rounded)):
        found, _ = jax.jit(small.apply)(*convert(kernels, stats), x)
        errors[kind] = float(jnp.mean(jnp.square(found - expected)))
    assert errors["on data"] < 0.8 * errors["nearest"]


@pytest.mark.by_day_on_pin(1)
def test_a_kernel_is_rounded_for_all_inputs_that_its_layer_has() -> None:
    model, _ = MODELS["dense"]
    params, stats = model.init(jax.random.key(0), X)
    params = drawn(params)
    found = rounded_on_data(model, params, stats, [X[:6], X[6:]], rules=RULES)["hidden1"]["kernel"]
    kernel = params["hidden1"]["kernel"]
    grid = quant.grid_of(quant.absmax_quantize(kernel, bits=3, axis=-1))
    expected = quant.gptq_quantize(kernel, jnp.asarray(X.T @ X / 8), grid)
    np.testing.assert_array_equal(quant.integers(found), quant.integers(expected))
    np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-6)


@pytest.mark.by_day_on_pin(1)
def test_rules_and_batches_are_needed() -> None:
    model, x = MODELS["dense"]
    params, stats = model.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="batches must hold inputs of the model, got none"):
        rounded_on_data(model, params, stats, [])
    kept = rounded_on_data(model, params, stats, [x], rules=(("hidden1", Bits(None, 8)), (".*", Bits(4, 8))))
    assert isinstance(kept["logits"]["kernel"], quant.Quantized)
    np.testing.assert_array_equal(kept["hidden1"]["kernel"], params["hidden1"]["kernel"])
