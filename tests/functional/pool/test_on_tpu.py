"""Pools in the form that a TPU gets, run on the CPU beside the CPU's form and PyTorch."""

import re
from functools import partial
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType

from fjdl.functional.pool import average, maximum
from fjdl.functional.pool.adaptive import adaptive_max_pool2d
from fjdl.functional.pool.fixed import average_pool2d, max_pool1d, max_pool2d, max_pool3d
from tests.functional.pool.test_fixed import (
    AVERAGE,
    GRID,
    MAXIMUM,
    MAXIMUM_ONLY,
    assert_equals_torch,
    torch_pool,
    value_and_gradient,
)
from tests.meshes import SPLIT, value_and_gradients
from tests.support import float64

# The CPU has no select-and-scatter: XLA makes it a reduction of windows, from jaxlib 0.12 on in an order of its own.
in_row_order = pytest.mark.skipif(not version("jaxlib").startswith("0.10."), reason="XLA:CPU breaks ties otherwise")


@pytest.fixture
def on_tpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls take the form of a TPU."""
    for module in (average, maximum):
        monkeypatch.setattr(module, "by_platform", lambda *operands, tpu, elsewhere: tpu(*operands))


def kinds_of_images(rng: np.random.Generator) -> np.ndarray:
    """[7, 7, 9, 3]: ordinary, tied, negative, all -inf, some NaN, all NaN, and both infinities."""
    plain = rng.standard_normal((7, 9, 3))
    some = np.where(rng.uniform(size=plain.shape) < 0.2, np.nan, plain)
    infinite = np.where(plain > 0.5, np.inf, np.where(plain < 0, -np.inf, 1.0))
    all_of = [np.full_like(plain, x) for x in (-np.inf, np.nan)]
    return np.stack([plain, np.maximum(np.round(plain), 0), -1 - abs(plain), all_of[0], some, all_of[1], infinite])


DILATED = [
    {"window": (2, 3), "stride": 1, "dilation": (3, 2), "padding": ((0, 1), (2, 1))},
    {"window": (3, 1), "stride": (1, 2), "dilation": (2, 1), "padding": ((2, 2), (0, 0))},
]


@in_row_order
@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", [*GRID, *MAXIMUM_ONLY, *DILATED], ids=str)
def test_maxima_and_their_gradients_are_those_of_the_cpu(options, dtype, rng, request):
    x = jnp.asarray(kinds_of_images(rng), dtype)
    shape = jax.eval_shape(partial(max_pool2d, **options), x).shape
    cotangent = rng.integers(1, 5, shape)
    expected = jax.jit(partial(value_and_gradient, partial(max_pool2d, **options)))(x, cotangent)
    request.getfixturevalue("on_tpu")
    actual = jax.jit(partial(value_and_gradient, partial(max_pool2d, **options)))(x, cotangent)
    for a, b, compared in zip(actual, expected, (slice(None), ~np.isnan(x).any(axis=(1, 2, 3))), strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(np.asarray(a, np.float32)[compared], np.asarray(b, np.float32)[compared])


@in_row_order
@pytest.mark.usefixtures("on_tpu")
@pytest.mark.parametrize("options", [*GRID, *MAXIMUM_ONLY], ids=str)
def test_ties_go_to_the_first_entry_as_in_torch(options, rng):
    x = np.maximum(np.round(rng.standard_normal((2, 7, 9, 3))), 0)
    assert_equals_torch(max_pool2d, MAXIMUM, x, **options)


@pytest.mark.usefixtures("on_tpu")
@pytest.mark.parametrize("options", [*GRID, {"window": 3, "padding": 1, "count_include_pad": False}], ids=str)
def test_averages_and_their_gradients_equal_torch(options, rng):
    assert_equals_torch(average_pool2d, AVERAGE, rng.standard_normal((2, 7, 9, 3)), **options)


@pytest.mark.usefixtures("on_tpu")
def test_averages_of_halves_are_summed_in_float32(rng):
    x = jnp.asarray(rng.standard_normal((1, 34, 34, 2)), jnp.bfloat16)
    exact = torch_pool(AVERAGE, torch.tensor(np.asarray(x, np.float64)), window=17)
    y = jax.jit(partial(average_pool2d, window=17))(x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=2**-8, atol=1e-6)


@in_row_order
@pytest.mark.usefixtures("on_tpu")
@pytest.mark.parametrize(
    ("ours", "theirs", "shape", "options"),
    [
        (max_pool1d, torch.nn.functional.max_pool1d, (2, 9, 3), {"window": 3, "stride": 2}),
        (max_pool3d, torch.nn.functional.max_pool3d, (1, 5, 4, 5, 2), {"window": 3, "stride": 2, "padding": 1}),
        (max_pool2d, MAXIMUM, (5, 6, 2), {"window": 2, "stride": 3}),
        (partial(max_pool2d, window=2, padding=((1, 0), (0, 1))), None, (2, 5, 6, 2), {}),
        (partial(adaptive_max_pool2d, size=(2, 3)), None, (2, 4, 6, 2), {}),
    ],
    ids=["1d", "3d", "no batch", "uneven padding", "adaptive"],
)
def test_sequences_volumes_and_other_pools(ours, theirs, shape, options, rng, monkeypatch):
    x = np.maximum(np.round(rng.standard_normal(shape)), 0).astype(np.float32)
    cotangent = rng.integers(1, 5, jax.eval_shape(partial(ours, **options), x).shape)
    actual = jax.jit(partial(value_and_gradient, partial(ours, **options)))(x, cotangent)
    monkeypatch.undo()
    expected = jax.jit(partial(value_and_gradient, partial(ours, **options)))(x, cotangent)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    if theirs:
        tensor = torch.tensor(x)[None] if x.ndim == 3 and theirs is MAXIMUM else torch.tensor(x)
        pooled = theirs(tensor.movedim(-1, 1), *(options.get(name, 0) for name in ("window", "stride", "padding")))
        np.testing.assert_array_equal(np.reshape(actual[0], pooled.movedim(1, -1).shape), pooled.movedim(1, -1))


@pytest.mark.usefixtures("on_tpu")
@pytest.mark.parametrize("options", [{"window": 2}, {"window": 3, "stride": 2, "padding": 1}], ids=str)
def test_derivatives_of_the_second_order_in_both_modes_equal_torch_and_autodiff_of_slices(options, rng):
    def curved(x: jax.Array) -> jax.Array:
        return jnp.sum(max_pool2d(jnp.sin(x), **options) ** 3)

    x = rng.standard_normal((1, 4, 5, 2))
    tensor = torch.tensor(x)
    expected = torch.autograd.functional.hessian(lambda x: (torch_pool(MAXIMUM, x.sin(), **options) ** 3).sum(), tensor)
    with float64():
        for order in (jax.hessian, lambda f: jax.jacrev(jax.grad(f)), lambda f: jax.jacfwd(jax.jacfwd(f))):
            np.testing.assert_allclose(jax.jit(order(curved))(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("on_tpu")
@pytest.mark.parametrize("axes", [(0, 0), (None, 0), (0, None)], ids=str)
def test_a_mapped_axis_is_one_more_leading_axis(axes, rng):
    pool = partial(max_pool2d, window=3, stride=2)
    x, cotangent = rng.standard_normal((2, 3, 5, 5, 2)), rng.standard_normal((2, 3, 2, 2, 2))
    operands = [a if axis == 0 else a[0] for a, axis in zip((x, cotangent), axes, strict=True)]
    pulled = jax.jit(jax.vmap(lambda x, y: value_and_gradient(pool, x, y)[1], axes))(*operands)
    for i in range(2):
        one = [a[i] if axis == 0 else a for a, axis in zip(operands, axes, strict=True)]
        np.testing.assert_array_equal(pulled[i], jax.jit(partial(value_and_gradient, pool))(*one)[1])


@pytest.mark.usefixtures("on_tpu")
@pytest.mark.parametrize("pool", [max_pool2d, average_pool2d])
def test_inside_of_shard_map_it_is_checked_over_which_axes_values_vary(pool, rng):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    x = jnp.asarray(rng.standard_normal((2, 5, 5, 2)), jnp.float32)
    both = partial(value_and_gradients, partial(pool, window=3, stride=2))
    value, (gradient,) = jax.jit(jax.shard_map(both, mesh=mesh, in_specs=SPLIT, out_specs=SPLIT))(x)
    expected, (slope,) = jax.jit(both)(x)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, slope, rtol=1e-6)


@pytest.mark.parametrize("pool", [max_pool2d, average_pool2d])
def test_each_platform_gets_its_own_form_for_any_number_of_images(pool: Any) -> None:
    """The CPU's program holds no windows of XLA, and that of a TPU no slices with strides and no masks."""
    (n,) = jax.export.symbolic_shape("n")
    x, y = (jax.ShapeDtypeStruct((n, size, size, 2), jnp.bfloat16) for size in (6, 3))

    def gradient(x: jax.Array, cotangent: jax.Array) -> jax.Array:
        return jax.vjp(partial(pool, window=3, stride=2, padding=1), x)[1](cotangent)[0]

    texts = {
        platform: jax.jit(gradient).trace(x, y).lower(lowering_platforms=(platform,)).as_text()
        for platform in ("cpu", "tpu", "cuda")
    }
    window = "stablehlo.select_and_scatter" if pool is max_pool2d else "stablehlo.reduce_window"
    assert [window in texts[platform] for platform in ("cpu", "tpu", "cuda")] == [False, True, False]
    assert not any(name in texts["tpu"] for name in ("optimization_barrier", "stablehlo.slice", 'gather"('))
    # XLA shares the gradient of a maximum between devices where one comparison chooses, and else gathers all images.
    assert texts["tpu"].count("stablehlo.compare") == (pool is max_pool2d)
    assert "stablehlo.or " not in texts["tpu"]


def test_the_choice_of_a_tpu_is_one_comparison_which_xla_splits_over_devices() -> None:
    """Of any other choice XLA gathers all images on every device."""
    image = jax.ShapeDtypeStruct((2, 6, 6, 2), jnp.bfloat16)
    slope = jax.grad(lambda x: jnp.sum(max_pool2d(x, window=3, stride=2)))
    text = jax.jit(slope).trace(image).lower(lowering_platforms=("tpu",)).as_text()
    choice = text.partition("stablehlo.select_and_scatter")[2].partition("stablehlo.return")[0]
    assert re.findall(r"stablehlo\.\w+", choice) == ["stablehlo.compare"]


def test_a_gradient_outside_of_a_program_keeps_no_masks() -> None:
    """What a compiled forward pass hands to its backward pass: the image, and a byte for each window."""
    pool = jax.jit(partial(max_pool2d, window=3, stride=2, padding=1))
    x = jax.ShapeDtypeStruct((2, 8, 8, 4), jnp.float32)
    kept = {(leaf.shape, leaf.dtype.name) for leaf in jax.tree.leaves(jax.eval_shape(lambda x: jax.vjp(pool, x)[1], x))}
    assert kept == {((2, 8, 8, 4), "float32"), ((2, 4, 4, 4), "uint8"), ((), "int32")}
