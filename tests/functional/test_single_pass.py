"""The statistics of one pass, which programs for accelerators take, against PyTorch in float64."""

import sys
from functools import partial
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType

from fjdl.functional.batch_norm import batch_norm, batch_norm_of_product
from fjdl.functional.single_pass import Examples, normalized, normalized_product
from tests.meshes import EVERYWHERE, SPLIT
from tests.support import assert_trees_close, float64

MASK = np.array([True, False, True, True, True])


def by_torch(x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.batch_norm(x.movedim(-1, 1), None, None, scale, bias, training=True).movedim(1, -1)


def product_by_torch(x: torch.Tensor, kernel: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
    return by_torch(x @ kernel, *rest)


def examples(x: Any, mask: Any = None) -> Examples:
    selected = None if mask is None else jnp.asarray(mask).reshape(-1, *[1] * (x.ndim - 1))
    share = 1.0 if mask is None else float(np.mean(mask))
    return Examples(selected, jnp.asarray(share * x.size / x.shape[-1]))


def shifted(x: Any, scale: Any, bias: Any, *, mask: Any = None) -> Any:
    shift = jnp.full(x.shape[-1], 1.5)
    return normalized(x, scale, bias, examples(x, mask), shift, epsilon=1e-5, over=None)


def folded(x: Any, kernel: Any, scale: Any, bias: Any, *, mask: Any = None) -> Any:
    return normalized_product(x, kernel, scale, bias, examples(x, mask), epsilon=1e-5, over=None)


FORMS = [
    pytest.param(shifted, by_torch, [(5, 3, 4, 3), (3,), (3,)], id="shifted"),
    pytest.param(folded, product_by_torch, [(5, 3, 4, 3), (3, 4), (4,), (4,)], id="product of images"),
    pytest.param(folded, product_by_torch, [(5, 3), (3, 4), (4,), (4,)], id="product of rows"),
]


def drawn(rng: np.random.Generator, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    return [1 + 2 * rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize(("ours", "theirs", "shapes"), FORMS)
def test_value_moments_and_gradients_equal_torch(ours: Any, theirs: Any, shapes: Any, rng: np.random.Generator) -> None:
    operands = drawn(rng, shapes)
    tensors = [torch.tensor(a, requires_grad=True) for a in operands]
    expected = theirs(*tensors)
    cotangent = rng.standard_normal(expected.shape)
    expected.backward(torch.tensor(cotangent))
    plain = np.asarray((tensors[0] @ tensors[1] if ours is folded else tensors[0]).detach()).reshape(
        -1, cotangent.shape[-1]
    )
    with float64():

        @jax.jit
        def run(*operands: Any) -> Any:
            (y, *moments), pull = jax.vjp(ours, *operands)
            return y, moments, pull((cotangent, *map(jnp.zeros_like, moments)))

        y, (mean, variance), gradients = run(*operands)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(mean, plain.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, plain.var(0), rtol=1e-10)
    for mine, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(mine, np.asarray(tensor.grad), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("ours", "theirs", "shapes"), FORMS)
def test_second_derivatives_equal_torch(ours: Any, theirs: Any, shapes: Any, rng: np.random.Generator) -> None:
    x, *rest = drawn(rng, [(3, *shapes[0][1:-1][:1], 2), *((2, *s[1:]) if len(s) == 2 else s for s in shapes[1:])])
    rest = [a if a.ndim == 2 else a[: rest[0].shape[-1] if rest[0].ndim == 2 else 2] for a in rest]
    with float64():
        actual = jax.jit(jax.hessian(lambda x: jnp.sum(jnp.tanh(ours(x, *rest)[0]))))(x)
    tensors = [torch.tensor(a) for a in rest]
    expected = torch.autograd.functional.hessian(lambda x: torch.tanh(theirs(x, *tensors)).sum(), torch.tensor(x))
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("ours", "theirs", "shapes"), FORMS)
@pytest.mark.parametrize("junk", [np.nan, np.inf])
def test_masked_examples_do_not_count(
    ours: Any, theirs: Any, shapes: Any, junk: float, rng: np.random.Generator
) -> None:
    operands = drawn(rng, shapes)
    kept = [torch.tensor(operands[0][MASK], requires_grad=True), *map(torch.tensor, operands[1:])]
    expected = theirs(*kept)
    expected.sin().sum().backward()
    operands[0][~MASK] = junk
    with float64():
        masked = jax.jit(lambda x: ours(x, *operands[1:], mask=MASK)[0])
        y, gradient = masked(operands[0]), jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(masked(x)))))(operands[0])
    np.testing.assert_allclose(y[MASK], expected.detach(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradient[MASK], np.asarray(kept[0].grad), rtol=1e-8, atol=1e-10)
    assert not np.asarray(y)[~MASK].any()
    assert not np.asarray(gradient)[~MASK].any()


@pytest.mark.parametrize("form", [shifted, folded])
def test_parts_of_a_batch_on_devices_are_one_batch(form: Any, rng: np.random.Generator) -> None:
    x, kernel = (rng.standard_normal(shape).astype(np.float32) for shape in ((8, 3), (3, 4)))
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    count = Examples(None, jnp.float32(8))

    def of_part(x: Any, kernel: Any) -> Any:
        if form is folded:
            return normalized_product(x, kernel, None, None, count, epsilon=1e-5, over="data")
        return normalized(x, None, None, count, jnp.zeros(3), epsilon=1e-5, over="data")

    @jax.jit
    def gradient(x: Any, kernel: Any) -> Any:
        def total(x: Any, kernel: Any) -> Any:
            specs = ((SPLIT, EVERYWHERE), (SPLIT, EVERYWHERE, EVERYWHERE))
            y, mean, variance = jax.shard_map(of_part, mesh=mesh, in_specs=specs[0], out_specs=specs[1])(x, kernel)
            return jnp.sum(jnp.sin(y)) + jnp.sum(jnp.cos(mean)) + jnp.sum(variance)

        return jax.grad(total, argnums=(0, 1))(x, kernel)

    def whole(x: Any, kernel: Any) -> Any:
        operands = (x, kernel) if form is folded else (x,)
        y, moments = (batch_norm_of_product if form is folded else batch_norm)(*operands)
        return jnp.sum(jnp.sin(y)) + jnp.sum(jnp.cos(moments.mean)) + jnp.sum(moments.variance)

    assert_trees_close(gradient(x, kernel), jax.jit(jax.grad(whole, argnums=(0, 1)))(x, kernel), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ratio", [1, 10, 100])
def test_the_variance_has_the_stated_digits(ratio: int, rng: np.random.Generator) -> None:
    x = (ratio + rng.standard_normal((4096, 2))).astype(np.float32)
    _, _, variance = jax.jit(partial(normalized, epsilon=1e-5, over=None))(
        x, None, None, Examples(None, jnp.float32(4096)), jnp.zeros(2)
    )
    np.testing.assert_allclose(variance, x.astype(np.float64).var(0), rtol=2**-22 * ratio**2 + 1e-6)


def test_a_constant_channel_gives_the_bias() -> None:
    x = jnp.full((16, 2), 3.0, jnp.bfloat16)
    bias, about = jnp.array([1.0, -2.0]), jnp.zeros(2)
    count = Examples(None, jnp.float32(16))
    y, _, _ = normalized(x, None, bias, count, about, epsilon=1e-5, over=None)
    np.testing.assert_array_equal(y, np.broadcast_to(bias, (16, 2)))
    kernel = jnp.array([[1.0, 2.0], [-1.0, 1.0]])
    gradient = jax.grad(lambda x: jnp.sum(normalized_product(x, kernel, None, bias, count, epsilon=1e-5, over=None)[0]))
    assert np.isfinite(gradient(x)).all()


def elsewhere(*operands: Any, cpu: Any, elsewhere: Any) -> Any:
    del cpu
    return elsewhere(*operands)


@pytest.mark.by_day_on_pin(1)
def test_bfloat16_on_an_accelerator_is_as_near_to_float64_as_the_two_passes(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = jnp.asarray(np.maximum(rng.standard_normal((64, 4, 4, 8)), 0), jnp.bfloat16)
    kernel, cotangent = (jnp.asarray(rng.standard_normal(s), jnp.float32) for s in ((8, 16), (64, 4, 4, 16)))

    def gradient(x: Any, kernel: Any) -> Any:
        loss = lambda x, k: jnp.sum(batch_norm_of_product(x, k, shift=jnp.zeros(16))[0] * cotangent)  # noqa: E731
        return jax.jit(jax.grad(loss, argnums=(0, 1)))(x, kernel)

    with float64():
        exact = [np.asarray(g) for g in gradient(*(jnp.asarray(np.asarray(a, np.float64)) for a in (x, kernel)))]

    def error(found: Any) -> list[float]:
        pairs = zip(found, exact, strict=True)
        return [float(np.linalg.norm(np.asarray(a, np.float64) - b) / np.linalg.norm(b)) for a, b in pairs]

    on_cpu = gradient(x, kernel)
    monkeypatch.setattr(sys.modules[batch_norm.__module__], "by_platform", elsewhere)
    jax.clear_caches()
    on_others = gradient(x, kernel)
    assert on_others[1].dtype == jnp.float32
    assert all(ours < 1.1 * theirs + 1e-4 for ours, theirs in zip(error(on_others), error(on_cpu), strict=True))


HALVES = [
    pytest.param(lambda x, k, **options: batch_norm(x, shift=jnp.zeros(3), **options)[0], id="shifted"),
    pytest.param(lambda x, k, **options: batch_norm_of_product(x, k, shift=jnp.zeros(4), **options)[0], id="product"),
]


@pytest.mark.parametrize("form", HALVES)
@pytest.mark.parametrize("over", [None, "data"])
def test_halves_are_lowered_inside_shard_map_for_every_platform(form: Any, over: str | None) -> None:
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])

    def total(x: Any, kernel: Any) -> Any:
        return jax.lax.psum(jnp.sum(form(x, kernel, axis_name=over).astype(jnp.float32)), "data")

    gradient = jax.grad(total, argnums=(0, 1))
    specs = (SPLIT, EVERYWHERE)
    mapped = jax.jit(jax.shard_map(gradient, mesh=mesh, in_specs=specs, out_specs=specs))
    traced = mapped.trace(jnp.ones((8, 2, 2, 3), jnp.bfloat16), jnp.ones((3, 4)))
    for platform in ("cpu", "cuda", "tpu"):
        assert "bf16" in traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize("form", HALVES)
def test_halves_are_exported_with_an_open_batch_size(form: Any, rng: np.random.Generator) -> None:
    (size,) = jax.export.symbolic_shape("batch")
    kernel = jnp.asarray(rng.standard_normal((3, 4)), jnp.float32)
    function = jax.jit(lambda x: form(x, kernel))
    shape = jax.ShapeDtypeStruct((size, 2, 2, 3), jnp.bfloat16)
    exported = jax.export.export(function, platforms=("cpu", "cuda", "tpu"))(shape)
    x = jnp.asarray(rng.standard_normal((5, 2, 2, 3)), jnp.bfloat16)
    np.testing.assert_array_equal(np.asarray(exported.call(x), np.float32), np.asarray(function(x), np.float32))


@pytest.mark.parametrize("platform", ["tpu", "cuda", "cpu"])
def test_only_accelerators_leave_the_product_out(platform: str) -> None:
    """The sums over the product, f32[2,2,2,16], are those of the two passes."""
    step = jax.jit(lambda x, k, shift: batch_norm_of_product(x, k, shift=shift)[0])
    shapes = [((2, 2, 2, 8), jnp.bfloat16), ((8, 16), jnp.float32), ((16,), jnp.float32)]
    text = step.trace(*(jax.ShapeDtypeStruct(*s) for s in shapes)).lower(lowering_platforms=(platform,)).as_text()
    reduced = [line for line in text.splitlines() if "stablehlo.reduce(" in line and "tensor<2x2x2x16xf32>" in line]
    assert bool(reduced) == (platform == "cpu")
