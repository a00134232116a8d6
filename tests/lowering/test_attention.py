"""Attention in blocks beside attention at once, and the forms of products that TPUs get."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import dot_product_attention
from fjdl.lowering import attention
from fjdl.lowering.attention import Operands, Options, in_blocks, on_chip
from fjdl.lowering.attention_products import (
    columns,
    columns_on_cpu,
    dot,
    dot_on_tpu,
    rules,
    scaled,
    scaled_first,
    scaled_last,
)
from tests.meshes import on_axes_of_their_own, value_and_gradients
from tests.support import assert_trees_close

N, G, R, T, S, D = 2, 2, 2, 7, 9, 2
FORMS = {"one head": ((0, 1), 2), "one example": ((0,), 3), "rows alone": ((), 7), "fewer rows than a block": ((), 50)}


def operands(rng: np.random.Generator, *, full: bool, dtype: Any = jnp.float32) -> Operands:
    """All that there may be, or queries, keys and values alone."""

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(rng.standard_normal(shape), dtype)

    mask = rng.uniform(size=(N, 1, 1, T, S)) < 0.7
    mask[0, ..., 2, :] = False
    given = Operands(
        normal(N, G, R, T, D), normal(N, G, S, D), normal(N, G, S, D), jnp.arange(T).reshape(1, 1, 1, T, 1)
    )
    if not full:
        return given
    return given._replace(
        key_bias=jnp.where(jnp.arange(S) < S - 1, 0, -jnp.inf).reshape(1, 1, 1, 1, S).astype(jnp.float32),
        query_bias=jnp.zeros((N, G, R, T, 1)),
        mask=jnp.asarray(mask),
        bias=normal(1, G, R, T, S),
        heads=jnp.arange(N * G * R).reshape(N, G, R, 1, 1),
        dropout=(jax.random.key(0), 0.3),
    )


def with_gradients(form: Any, given: Operands) -> Any:
    def outputs(q: Any, k: Any, v: Any, bias: Any) -> Any:
        return form(given._replace(q=q, k=k, v=v, bias=bias))

    if given.bias is None:
        return value_and_gradients(lambda *smooth: outputs(*smooth, None), *given[:3])
    return value_and_gradients(outputs, *given[:3], given.bias)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_blocks_give_the_values_and_gradients_of_the_whole(form: str, causal: bool, rng: np.random.Generator) -> None:
    axes, rows = FORMS[form]
    given, options = operands(rng, full=True), Options(jnp.float32, 0.7, causal, S)
    actual = jax.jit(partial(with_gradients, lambda x: in_blocks(x, options, axes=axes, rows=rows)))(given)
    expected = jax.jit(partial(with_gradients, lambda x: attention.attend(x, options)))(given)
    assert_trees_close(actual, expected, rtol=1e-5, atol=1e-6)
    assert not np.any(np.asarray(actual[0][0, :, :, 2]))


@pytest.mark.by_day_on_pin(1)
def test_blocks_have_second_derivatives_and_batches(rng: np.random.Generator) -> None:
    given, options = operands(rng, full=False), Options(jnp.float32, 0.7, causal=True)

    def curvature(form: Any, q: Any) -> Any:
        def total(q: Any) -> Any:
            return jnp.sum(jnp.sin(form(given._replace(q=q))))

        return jax.jvp(jax.grad(total), (q,), (jnp.ones_like(q),))[1], jax.grad(
            lambda q: jnp.sum(jax.grad(total)(q) ** 2)
        )(q)

    forms = (lambda x: in_blocks(x, options, axes=(0, 1), rows=3), lambda x: attention.attend(x, options))
    batch = jnp.stack([given.q, 2 * given.q])
    blocks, whole = (jax.jit(jax.vmap(partial(curvature, form)))(batch) for form in forms)
    assert_trees_close(blocks, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.by_day_on_pin(1)
def test_blocks_in_shard_map_and_with_an_open_batch(rng: np.random.Generator) -> None:
    given, options = operands(rng, full=False), Options(jnp.float32, 0.7, causal=True)

    def program(q: Any, k: Any, v: Any) -> Any:
        return with_gradients(lambda x: in_blocks(x, options, axes=(0, 1), rows=3), given._replace(q=q, k=k, v=v))

    on_axes_of_their_own(program, *given[:3])
    (n,) = jax.export.symbolic_shape("n")
    loose = [jax.ShapeDtypeStruct((n, *x.shape[1:]), x.dtype) for x in given[:3]]
    assert jax.eval_shape(program, *loose)[0].shape == (n, G, R, T, D)


def test_sums_of_blocks_are_float32_in_bfloat16(rng: np.random.Generator) -> None:
    """Each of 4096 blocks adds 1 to the gradient of a value; in bfloat16 the sum stops at 256."""
    ones = jnp.ones((1, 1, 1, 4096, 1), jnp.bfloat16)
    one = ones.astype(jnp.float32)[:, :, 0, :1]
    given = Operands(ones, one, one, jnp.arange(4096).reshape(1, 1, 1, 4096, 1))
    form = partial(in_blocks, options=Options(jnp.bfloat16, 1.0), axes=(), rows=1)
    slope = jax.jit(jax.grad(lambda v: jnp.sum(form(given._replace(v=v)).astype(jnp.float32))))(one)
    assert slope.reshape(()) == 4096


def test_memory_grows_with_the_length_and_not_with_its_square() -> None:
    def temporaries(length: int) -> int:
        x = jax.ShapeDtypeStruct((1, length, 2, 8), jnp.float32)
        both = jax.jit(lambda *a: value_and_gradients(dot_product_attention, *a))
        return both.lower(x, x, x).compile().memory_analysis().temp_size_in_bytes

    scores = 4 * 2 * 4096**2
    assert temporaries(4096) < 0.3 * scores


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_single_row_on_a_tpu_equals_it_elsewhere(dtype: str, rng: np.random.Generator) -> None:
    q, k = (jnp.asarray(rng.standard_normal((3, rows, 4)), jnp.float32) for rows in (1, 5))
    every = zip(rules(dot), rules(dot_on_tpu), strict=True)
    for (plain, tpu), (a, b) in zip(every, ((q, k), (q @ k.swapaxes(1, 2), k)), strict=True):
        out = plain.out(a, b, dtype=dtype)
        assert tpu.out(a, b, dtype=dtype).dtype == jnp.float32
        for mine, theirs, args in (
            (tpu.out, plain.out, (a, b)),
            (tpu.lhs, plain.lhs, (out, b)),
            (tpu.rhs, plain.rhs, (a, out)),
        ):
            np.testing.assert_allclose(mine(*args, dtype=dtype), theirs(*args, dtype=dtype), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_of_columns_on_a_cpu_equal_those_elsewhere(dtype: str, rng: np.random.Generator) -> None:
    a, b = (jnp.asarray(rng.standard_normal(shape), dtype) for shape in ((3, 7, 5), (3, 7, 4)))
    expected = np.swapaxes(np.asarray(a, np.float64), 1, 2) @ np.asarray(b, np.float64)
    for form in (columns, columns_on_cpu):
        out = jax.jit(form, static_argnums=2)(a.astype(jnp.float32), b.astype(jnp.float32), dtype)
        assert out.dtype == jnp.float32
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [0.3, -0.3])
def test_scaled_queries_give_the_scaled_products(scale: float, rng: np.random.Generator) -> None:
    q, k = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((2, 3, 5), (2, 4, 5)))
    q = q.at[1, 0, 0].set(jnp.nan).at[1, 1, 0].set(jnp.inf)
    before, after, chosen = (
        value_and_gradients(lambda q, k, scale, form=form: form(q, k, scale=scale, dtype="float32"), q, k, scale)
        for form in (scaled_first, scaled_last, scaled)
    )
    assert_trees_close((before, chosen), (after, after), rtol=1e-5, atol=1e-5)
    exact = scale * np.asarray(q, np.float64) @ np.swapaxes(np.asarray(k, np.float64), 1, 2)
    np.testing.assert_allclose(before[0], exact, rtol=1e-5, atol=1e-5)


def test_queries_of_16_bits_are_scaled_after_the_product(rng: np.random.Generator) -> None:
    q, k = (
        jnp.asarray(rng.standard_normal(shape), jnp.bfloat16).astype(jnp.float32) for shape in ((1, 3, 5), (1, 4, 5))
    )
    exact = 0.3 * np.asarray(q, np.float64) @ np.swapaxes(np.asarray(k, np.float64), 1, 2)
    np.testing.assert_allclose(scaled(q, k, scale=0.3, dtype="bfloat16"), exact, rtol=1e-5, atol=1e-6)


def test_sums_from_one_product_equal_those_apart(rng: np.random.Generator) -> None:
    scores, v = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((2, 3, 5), (2, 5, 4)))
    exponentials = jnp.exp(scores).at[0, 1].set(0)
    apart, together = (
        value_and_gradients(lambda e, v, form=form: form("float32", e, v), exponentials, v)
        for form in (attention.summed_apart, attention.summed_together)
    )
    assert_trees_close(together, apart, rtol=1e-5, atol=1e-6)
    wide = np.asarray(exponentials, np.float64)
    np.testing.assert_allclose(together[0][0], wide @ np.asarray(v, np.float64), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(together[0][1], wide.sum(-1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "apart", "rows"),
    [
        ((1, 8, 1, 2048, 2048), False, 1024),
        ((1, 8, 1, 4096, 4096), False, 512),
        ((64, 8, 1, 2048, 2048), True, 1024),
        ((1, 1, 1, 200, 200), False, 128),
    ],
)
def test_blocks_of_a_tpu_stay_on_the_chip(shape: Any, apart: bool, rows: int) -> None:
    assert on_chip(shape) == (apart, rows)
