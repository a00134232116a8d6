"""Which dtype a product has that a TPU writes, told by the program for one."""

import jax
import jax.numpy as jnp
import pytest

from fjdl.lowering.matmul import matmul


@pytest.mark.parametrize(("dtype", "size", "written"), [
    ("bfloat16", 2000, "bf16"), ("bfloat16", 8, "f32"), ("float16", 2000, "f32"), ("float32", 2000, "f32"),
])  # fmt: skip
def test_large_products_of_bfloat16_are_written_in_bfloat16(dtype: str, size: int, written: str) -> None:
    x = jax.ShapeDtypeStruct((size, size), jnp.dtype(dtype))
    program = jax.jit(lambda x: jax.vjp(matmul, x, x)[1](x)).trace(x)
    text = program.lower(lowering_platforms=("tpu",)).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert len(products) == 2
    assert all(line.endswith(f"-> tensor<{size}x{size}x{written}>") for line in products)
    elsewhere = program.lower(lowering_platforms=("cuda",)).as_text()
    assert elsewhere.count(f"-> tensor<{size}x{size}xf32>") >= 2
