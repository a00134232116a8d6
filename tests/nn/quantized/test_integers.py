"""Models of integers beside the models that they were made of."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

from fjdl import nn, quant
from fjdl.models import MLP, BasicBlock, ResNet
from fjdl.nn.quantized import Bits, fake_quantized, integers, quantized
from fjdl.quant import ranges
from fjdl.typing import Array
from tests.nn.test_folded import drawn

X = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
IMAGES = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
BITS = [Bits(8, 8), Bits(4, 8), Bits(8, 4), Bits(4, None), Bits(None, 8)]


class Separable(linen.Module):
    """A convolution in groups, a depthwise one with holes, and a dense layer."""

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = jax.nn.relu(nn.Conv(6, 3, stride=2, groups=3, name="grouped")(x))
        x = jax.nn.relu(nn.DepthwiseConv(3, dilation=2, multiplier=2, name="depthwise")(x))
        return nn.Dense(5, name="logits")(x.mean((1, 2)))


MODELS = {
    "dense": (nn.pure(MLP(hidden=(6,), classes=3)), X),
    "convolutions": (nn.pure(Separable()), IMAGES),
    "residual": (nn.folded(nn.pure(ResNet((1,), BasicBlock, width=4, classes=3)), IMAGES).model, IMAGES),
}


def ranged(model: nn.Model, x: np.ndarray, rules: Any) -> tuple[nn.Model, Any, Any]:
    """A fake-quantized model whose ranges one batch has found."""
    learning = fake_quantized(model, x, rules=rules)
    params, stats = learning.init(jax.random.key(0), x)
    params = drawn(params)
    return learning, params, jax.jit(lambda stats: learning.apply(params, stats, x, train=True)[1])(stats)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", BITS, ids=str)
def test_integers_give_what_the_rounded_network_gave(name: str, bits: Bits) -> None:
    model, x = MODELS[name]
    rules = ((".*", bits),)
    learning, params, stats = ranged(model, x, rules)
    expected, _ = jax.jit(learning.apply)(params, stats, x)
    small, convert = quantized(model, x, rules=rules)
    found, after = jax.jit(small.apply)(*convert(params, stats), x)
    scale = float(jnp.max(jnp.abs(expected)))
    step = 0 if bits.inputs is None else 2.0**-bits.inputs  # a sum at the middle between two integers may go either way
    np.testing.assert_allclose(found, expected, atol=scale * (1e-5 + step))
    assert np.mean(np.abs(found - expected)) < scale * (1e-5 + step / 20)
    assert after.keys() == {"model", "grids", "sums"}


def test_sums_that_float32_holds_exactly_are_equal_to_the_bit() -> None:
    model = nn.pure(MLP(hidden=(), classes=3))
    x = np.array([[127, -64, 3, -128]], np.float32) / 64
    params = {"logits": {"kernel": np.array([[127, 1, -127], [-5, 127, 8], [100, 64, 3], [7, 9, 1]], np.float32) / 32}}
    params["logits"]["bias"] = np.float32([0.5, -1.0, 2.0])
    calibrator = ranges.fixed(-2.0, 255 / 128 - 1 / 128)
    learning = fake_quantized(model, x, calibrator=calibrator)
    _, stats = learning.init(jax.random.key(0), x)
    expected, stats = learning.apply(params, stats, x, train=True)
    small, convert = quantized(model, x, calibrator=calibrator)
    found, _ = small.apply(*convert(params, stats), x)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", MODELS)
def test_each_batch_may_find_its_own_ranges(name: str) -> None:
    model, x = MODELS[name]
    params, stats = drawn(jax.eval_shape(model.init, jax.random.key(0), x))
    small, convert = quantized(model, x, dynamic=True)
    found, _ = jax.jit(small.apply)(*convert(params, stats), x)
    expected, _ = jax.jit(model.apply)(params, stats, x)
    np.testing.assert_allclose(found, expected, atol=0.03 * float(jnp.max(jnp.abs(expected))))


@pytest.mark.by_day_on_pin(1)
def test_kernels_alone_take_the_parameters_of_the_model_itself_and_a_fraction_of_its_bytes() -> None:
    model = nn.pure(MLP(hidden=(64, 64), classes=3))
    x = np.ones((1, 64), np.float32)
    params, stats = model.init(jax.random.key(0), x)
    for bits, share in ((8, 0.30), (4, 0.17), (2, 0.11)):
        small, convert = quantized(model, x, rules=((".*", Bits(bits, None)),))
        after = convert(params, stats)
        assert quant.size_in_bytes(after[0]) < share * quant.size_in_bytes(params)
        kernel = quant.dequantize(after[0]["logits"]["kernel"])
        np.testing.assert_allclose(kernel, params["logits"]["kernel"], atol=1 / (2**bits - 2) + 1e-6)
        assert small.apply(*after, x)[0].shape == (1, 3)


@pytest.mark.by_day_on_pin(1)
def test_outputs_have_the_dtype_of_the_inputs_and_init_the_form_of_what_is_converted() -> None:
    model, x = MODELS["dense"]
    small, convert = quantized(model, x)
    params, stats = small.init(jax.random.key(0), x)
    assert small.apply(params, stats, jnp.asarray(x, jnp.bfloat16))[0].dtype == jnp.bfloat16
    _, *trained = ranged(model, x, ((".*", Bits()),))
    assert jax.tree.structure(convert(*trained)) == jax.tree.structure((params, stats))


def test_the_program_multiplies_integers() -> None:
    model, x = MODELS["dense"]
    small, _ = quantized(model, x)
    made = jax.eval_shape(small.init, jax.random.key(0), x)
    program = jax.jit(small.apply).lower(*made, x).as_text()
    assert program.count("dot_general") == 2
    assert program.count("xi32>") > 0


@pytest.mark.parametrize("dynamic", [False, True])
def test_examples_that_go_through_the_network_a_few_at_a_time_change_nothing(
    dynamic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = MODELS["residual"]
    x = np.random.default_rng(2).standard_normal((6, 8, 8, 3)).astype(np.float32)
    _, params, stats = ranged(model, x, ((".*", Bits()),))
    small, convert = quantized(model, x, dynamic=dynamic)
    params, stats = convert(params, stats["model"] if dynamic else stats)

    def evaluated(*args: Any) -> Any:
        return small.apply(*args, train=False)

    whole, kept = jax.jit(evaluated)(params, stats, x)
    monkeypatch.setattr(integers, "TOGETHER", 2 * 8 * 8 * 4)
    parts = str(jax.make_jaxpr(lambda *args: evaluated(*args))(params, stats, x))
    assert "scan[" in parts
    found, after = jax.jit(lambda *args: evaluated(*args))(params, stats, x)
    np.testing.assert_array_equal(found, whole)
    assert jax.tree.structure(after) == jax.tree.structure(kept)
    for kind in (AxisType.Auto, AxisType.Explicit):
        mesh = jax.make_mesh((2,), ("data",), axis_types=(kind,), devices=jax.devices()[:2])
        with jax.set_mesh(mesh):
            split = jax.device_put(x, NamedSharding(mesh, P("data")))
            spread = jax.device_put((params, stats), NamedSharding(mesh, P()))
            found, _ = jax.jit(lambda *args: evaluated(*args))(*spread, split)
        np.testing.assert_allclose(found, whole, rtol=1e-6)


BLOCKS = (r"stage\d+/block\d+(/shortcut)?",)


def test_blocks_hand_on_integers_and_the_next_layer_multiplies_these_very_ones() -> None:
    """Of two blocks, the second with a shortcut that changes nothing, and so has no grid of its own."""
    model = nn.folded(nn.pure(ResNet((2,), BasicBlock, width=4, classes=3)), IMAGES).model
    learning = fake_quantized(model, IMAGES, outputs=BLOCKS)
    params, stats = learning.init(jax.random.key(0), IMAGES)
    params = drawn(params)
    stats = jax.jit(lambda stats: learning.apply(params, stats, IMAGES, train=True)[1])(stats)
    assert "stage1/block1/conv1" not in stats["ranges"]
    names = {name.removesuffix(" outputs") for name in stats["ranges"] if name.endswith(" outputs")}
    assert names == {"stage1/block0/shortcut", "stage1/block0", "stage1/block1"}
    expected, _ = jax.jit(learning.apply)(params, stats, IMAGES)
    small, convert = quantized(model, IMAGES, outputs=BLOCKS)
    small_params, small_stats = convert(params, stats)
    found, _ = jax.jit(small.apply)(small_params, small_stats, IMAGES)
    np.testing.assert_allclose(found, expected, atol=float(jnp.max(jnp.abs(expected))) * 2.0**-8)
    exact, _ = jax.jit(model.apply)(params, stats["model"], IMAGES)
    np.testing.assert_allclose(found, exact, atol=0.05 * float(jnp.max(jnp.abs(exact))))
    grids: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integers, "quantize", lambda x, grid: grids.append(grid) or quant.quantize(x, grid))
        small.apply(small_params, small_stats, IMAGES, train=True)
    assert len(grids) == 9  # inputs of six layers and three outputs; conv1 of the second block takes one as it is


def test_outputs_must_be_there_and_have_ranges_of_their_own() -> None:
    model, x = MODELS["residual"]
    with pytest.raises(ValueError, match="outputs must name modules that give one array, but none matches 'blocks'"):
        fake_quantized(model, x, outputs=("blocks",))
    with pytest.raises(ValueError, match="outputs must be empty with dynamic ranges"):
        quantized(model, x, outputs=BLOCKS, dynamic=True)
