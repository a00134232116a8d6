"""Networks that learn to be quantized."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import nn, quant
from fjdl.models import MLP, BasicBlock, ResNet
from fjdl.nn.quantized import Bits, fake_quantized
from fjdl.quant import ranges
from tests.train.toy import batch, first_state, program, recipe

MODEL = nn.pure(MLP(hidden=(6,), classes=3))
X = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)


def started(**options: Any) -> tuple[nn.Model, Any, Any]:
    model = fake_quantized(MODEL, X, **options)
    return model, *model.init(jax.random.key(0), X)


def on_grid(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """On the 256 steps over [low, high], by NumPy."""
    scale = np.float32((high - low) / 255)
    zero = -np.round(low / scale) - 128
    return (np.clip(np.round(x / scale + zero), -128, 127) - zero) * scale


def kernel_on_grid(kernel: np.ndarray) -> np.ndarray:
    scale = np.abs(kernel).max(axis=0) / 127
    return np.round(kernel / scale) * scale


@pytest.mark.by_day_on_pin(1)
def test_kernels_and_inputs_are_rounded_as_by_hand() -> None:
    model, params, stats = started(calibrator=ranges.minmax())
    outputs, stats = model.apply(params, stats, X, train=True)
    first, last = (jax.tree.map(np.asarray, params[name]) for name in ("hidden1", "logits"))
    hidden = on_grid(X, X.min(), X.max()) @ kernel_on_grid(first["kernel"]) + first["bias"]
    hidden = np.maximum(hidden, 0)
    expected = on_grid(hidden, 0, hidden.max()) @ kernel_on_grid(last["kernel"]) + last["bias"]
    np.testing.assert_allclose(outputs, expected, atol=2e-5)
    assert not np.allclose(outputs, MODEL.apply(params, {}, X)[0], atol=1e-4)
    np.testing.assert_allclose(stats["ranges"]["hidden1"], [X.min(), X.max()])


def test_evaluation_uses_the_ranges_and_moves_nothing() -> None:
    model, params, stats = started()
    _, stats = model.apply(params, stats, X, train=True)
    _, after = model.apply(params, stats, 10 * X)
    for name in ("ranges", "steps"):
        jax.tree.map(np.testing.assert_array_equal, after[name], stats[name])
    clipped, _ = model.apply(params, stats, np.clip(10 * X, X.min(), X.max()))
    np.testing.assert_allclose(model.apply(params, stats, 10 * X)[0], clipped, atol=1e-5)


def test_rounding_begins_after_the_first_steps() -> None:
    model, params, stats = started(start=2)
    plain = MODEL.apply(params, {}, X)[0]
    step = jax.jit(lambda stats: model.apply(params, stats, X, train=True))
    for number in (1, 2, 3):
        outputs, stats = step(stats)
        assert int(stats["steps"]) == number
        assert bool(jnp.all(outputs == plain)) == (number <= 2)


def test_a_model_that_never_trained_is_evaluated_as_it_is() -> None:
    model, params, stats = started()
    plain = MODEL.apply(params, {}, X)[0]
    np.testing.assert_array_equal(model.apply(params, stats, X)[0], plain)
    np.testing.assert_array_equal(jax.jit(model.apply)(params, stats, X)[0], plain)
    slopes = jax.jit(jax.grad(lambda x: jnp.sum(model.apply(params, stats, x)[0])))(X)
    assert np.isfinite(slopes).all()


def test_rules_choose_the_bits_of_each_layer() -> None:
    rules = (("hidden.", Bits(None, None)), (".*", Bits(2, None)))
    model, params, stats = started(rules=rules)
    assert stats["ranges"] == {}
    outputs, _ = model.apply(params, stats, X, train=True)
    small = quant.dequantize(quant.absmax_quantize(params["logits"]["kernel"], bits=2, axis=-1))
    expected = MODEL.apply({**params, "logits": {**params["logits"], "kernel": small}}, {}, X)[0]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


@pytest.mark.by_day_on_pin(1)
def test_steps_without_use_of_their_gradients_find_the_ranges_of_a_trained_model() -> None:
    trained = nn.pure(ResNet((1,), BasicBlock, width=4, classes=3))
    images = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
    model = fake_quantized(nn.evaluated(trained), images, start=1000)
    params, stats = model.init(jax.random.key(0), images)
    outputs, after = jax.jit(lambda stats: model.apply(params, stats, images, train=True))(stats)
    jax.tree.map(np.testing.assert_array_equal, after["model"], stats["model"])
    np.testing.assert_allclose(outputs, trained.apply(params, stats["model"], images)[0], atol=1e-5)
    assert all(float(found.weight) > 0 for found in after["ranges"].values())


@pytest.mark.by_day_on_pin(1)
def test_a_recipe_learns_through_the_rounding() -> None:
    plain = recipe()
    learning = recipe(model=fake_quantized(plain.model, jnp.ones((1, 8, 8, 1)), rules=((".*", Bits(3, 4)),)))
    data = batch(32)
    single, state = program(learning).single, first_state(learning, data)
    losses = []
    for _ in range(20):
        state, tally = single.step(state, single.start(), data)
        losses.append(float(single.finish(tally).loss))
    assert int(state.stats["steps"]) == 20
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rules": (("logits", Bits()),)},
            r"every leaf must match a rule of \['logits'\], but none matches \['hidden1'\]",
        ),
        ({"rules": (("head", Bits()), (".*", Bits()))}, r"every rule must match a leaf, but \['head'\] match none"),
        ({"rules": ((".*", Bits(1, 8)),)}, r"kernel must lie in \[2, 8\], got 1"),
        ({"rules": ((".*", Bits(8, 9)),)}, r"inputs must lie in \[2, 8\], got 9"),
        ({"start": -1}, "start must be at least 0, got -1"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fake_quantized(MODEL, X, **options)


def test_models_without_such_layers_are_refused() -> None:
    several = nn.ensemble([MODEL, MODEL])
    with pytest.raises(
        ValueError, match=r"must have parameters under their paths, but \['hidden1', 'logits'\] have none"
    ):
        fake_quantized(several, X)
    nothing = nn.Model(lambda key, x: ({}, {}), lambda params, stats, x, **options: (x, stats))
    with pytest.raises(ValueError, match="must have a dense or conv layer"):
        fake_quantized(nothing, X)
