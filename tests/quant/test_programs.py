"""Compiled programs of quantized products: real arithmetic of integers, and no float copy of the weights."""

import importlib.util
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from fjdl.quant import absmax_quantize, affine_grid, quantize, quantize_examples, quantize_rows, stored, symmetric_grid
from fjdl.quant.products import conv2d, linear, matmul

ROWS, IN, OUT = 32, 96, 160
DENSE = jax.eval_shape(partial(absmax_quantize, axis=-1), jax.ShapeDtypeStruct((IN, OUT), jnp.float32))
FOUR = jax.eval_shape(partial(absmax_quantize, bits=4, axis=-1), jax.ShapeDtypeStruct((IN, OUT), jnp.float32))
NATIVE = jax.eval_shape(partial(stored, form="native"), FOUR)
KERNEL = jax.eval_shape(partial(absmax_quantize, axis=-1), jax.ShapeDtypeStruct((3, 3, 32, 48), jnp.float32))
STACK = jax.eval_shape(partial(absmax_quantize, axis=(0, 2)), jax.ShapeDtypeStruct((4, IN, OUT), jnp.float32))
X = jax.ShapeDtypeStruct((ROWS, IN), jnp.float32)
IMAGES = jax.ShapeDtypeStruct((4, 14, 14, 32), jnp.float32)
BIAS = jax.ShapeDtypeStruct((OUT,), jnp.float32)


def static(x: Any, kernel: Any, bias: Any) -> Any:
    return linear(quantize(x, symmetric_grid(3.0)), kernel, bias, activation=jax.nn.relu, onto=affine_grid(0.0, 9.0))


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "static": (static, (X, DENSE, BIAS)),
    "dynamic": (lambda x, kernel: linear(quantize_rows(x), kernel), (X, DENSE)),
    "four bits": (lambda x, kernel: linear(quantize_rows(x), kernel), (X, FOUR)),
    "stack": (
        lambda x, b: matmul(absmax_quantize(x, axis=(0, 1)), b),
        (jax.ShapeDtypeStruct((4, ROWS, IN), jnp.float32), STACK),
    ),
    "convolution": (lambda x, kernel: conv2d(quantize_examples(x), kernel), (IMAGES, KERNEL)),
}


def products(text: str) -> list[tuple[str, list[str]]]:
    """The dtype of the result and those of both operands of each product and convolution in a compiled program."""
    found = []
    for result, operands in re.findall(r"= (\w+)\[[^=]*? (?:dot|convolution)\(([^)]*)\)", text):
        names = [
            name.strip().split()[-1].lstrip("%") for name in re.sub(r"\[[^\]]*\]\{[^}]*\}", "", operands).split(",")
        ]
        kinds = [set(re.findall(rf"%?{re.escape(name)}(?: =|:) (\w+)\[", text)) for name in names]
        found.append((result, [kind.pop() for kind in kinds]))
    return found


def require_integers(text: str, weights: Any) -> None:
    """Both operands int8, the result int32, and no array of floats as large as the weights."""
    assert products(text) == [("s32", ["s8", "s8"])], products(text)
    shape = ",".join(map(str, weights.shape))
    assert not re.search(rf"\b(f32|bf16|f16)\[{shape}\]", text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_on_a_cpu_products_are_of_int8_in_int32(name: str) -> None:
    function, args = PROGRAMS[name]
    require_integers(jax.jit(function).lower(*args).compile().as_text(), args[1])


def test_the_operands_of_a_program_of_floats_are_seen() -> None:
    text = jax.jit(lambda x, w: x @ w).lower(X, jax.ShapeDtypeStruct((IN, OUT), jnp.float32)).compile().as_text()
    with pytest.raises(AssertionError, match="f32"):
        require_integers(text, DENSE)
    assert require_integers(jax.jit(PROGRAMS["dynamic"][0]).lower(X, DENSE).compile().as_text(), DENSE) is None


TPU = {
    **PROGRAMS,
    "native": (lambda x, kernel: linear(quantize_rows(x), kernel), (X, NATIVE)),
}
WEIGHT_ONLY = {
    "eight bits": (linear, (jax.ShapeDtypeStruct((ROWS, IN), jnp.bfloat16), DENSE), "s8"),
    "native four bits": (linear, (jax.ShapeDtypeStruct((ROWS, IN), jnp.bfloat16), NATIVE), "s4"),
}
on_tpu = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="compiles for a TPU: libtpu is missing")


def compiled_for_tpu(function: Callable[..., Any], args: tuple[Any, ...]) -> str:
    from jax.experimental import topologies

    device = topologies.get_topology_desc("v5e:2x2", "tpu").devices[0]
    place = jax.sharding.SingleDeviceSharding(device)
    placed = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), args)
    return jax.jit(function).lower(*placed).compile().as_text()


@on_tpu
@pytest.mark.slow
@pytest.mark.parametrize("name", TPU)
def test_on_a_tpu_products_are_of_small_integers_in_int32(name: str) -> None:
    function, args = TPU[name]
    text = compiled_for_tpu(function, args)
    assert {(result, *kinds) for result, kinds in products(text)} <= {("s32", "s8", "s8"), ("s32", "s8", "s4")}
    assert products(text)
    assert not re.search(rf"\b(f32|bf16)\[{','.join(map(str, args[1].shape))}\]", text)


@on_tpu
@pytest.mark.slow
@pytest.mark.parametrize("name", WEIGHT_ONLY)
def test_on_a_tpu_weights_alone_are_read_as_small_integers(name: str) -> None:
    function, args, kind = WEIGHT_ONLY[name]
    text = compiled_for_tpu(function, args)
    assert [kinds for _, kinds in products(text)] == [["bf16", kind]]
