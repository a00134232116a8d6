"""The two products of attention, of queries by keys and of weights by values, on arrays `[b, rows, columns]`.

Scores, weights and sums are float32; what is multiplied is rounded to the dtype of the network first.
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from fjdl.lowering.bilinear import Rules, bilinear
from fjdl.numerics import wide
from fjdl.platforms import by_platform
from fjdl.typing import Array, Number


def dot(a: Array, b: Array, axis_a: int, axis_b: int, dtype: DTypeLike) -> Array:
    """Products of factors that are rounded to the dtype, summed in float32."""
    sums = wide(dtype)
    numbers = (((axis_a,), (axis_b,)), ((0,), (0,)))
    return lax.dot_general(a.astype(dtype), b.astype(dtype), numbers, preferred_element_type=sums).astype(sums)


def dot_on_tpu(a: Array, b: Array, axis_a: int, axis_b: int, dtype: DTypeLike) -> Array:
    """As `dot`, a single row as eight, because one makes of the product a sum of elementwise ones."""
    if a.shape[3 - axis_a] != 1:
        return dot(a, b, axis_a, axis_b, dtype)
    rows = jnp.repeat(a, 8, axis=3 - axis_a)
    return dot(rows, b, axis_a, axis_b, dtype)[:, :1]


def columns(a: Array, b: Array, dtype: DTypeLike) -> Array:
    """Products of the columns of both."""
    return dot(a, b, 1, 1, dtype)


def columns_on_cpu(a: Array, b: Array, dtype: DTypeLike) -> Array:
    """As `columns`, with float32 factors: the second is transposed in memory first, and the result after it.

    [256, 4096] by [256, 64] so took 0.71 ms on 2 cores, and 2.65 as it stands (best of 300, jaxlib 0.10.2; 0.45
    and 1.38 with 0.12.0).
    """
    if jnp.dtype(dtype).itemsize == 2:
        return columns(a, b, dtype)
    turned = lax.optimization_barrier(jnp.swapaxes(b.astype(dtype), 1, 2))
    return jnp.swapaxes(dot(turned, a, 2, 1, dtype), 1, 2)


def rules(times: Callable[..., Array], *, across: Callable[..., Array] = columns) -> tuple[Rules, Rules]:
    """Of queries by keys to scores, and of weights by values to their sums; both on arrays `[b, rows, columns]`."""
    by_keys = Rules(
        out=lambda q, k, dtype: times(q, k, 2, 2, dtype),
        lhs=lambda scores, k, dtype: times(scores, k, 2, 1, dtype),
        rhs=lambda q, scores, dtype: across(scores, q, dtype),
    )
    by_values = Rules(
        out=lambda weights, v, dtype: times(weights, v, 2, 1, dtype),
        lhs=lambda sums, v, dtype: times(sums, v, 2, 2, dtype),
        rhs=lambda weights, sums, dtype: across(weights, sums, dtype),
    )
    return by_keys, by_values


(_KEYS, _VALUES), (_KEYS_ON_TPU, _VALUES_ON_TPU) = rules(dot), rules(dot_on_tpu)
_KEYS_ON_CPU, _VALUES_ON_CPU = rules(dot, across=columns_on_cpu)
product = bilinear(
    "fjdl_attention_scores",
    _KEYS,
    platforms={"cpu": {"0.10.2": _KEYS_ON_CPU, "0.12.0": _KEYS_ON_CPU}, "tpu": {"0.10.2": _KEYS_ON_TPU}},
)
context = bilinear(
    "fjdl_attention_context",
    _VALUES,
    platforms={"cpu": {"0.10.2": _VALUES_ON_CPU, "0.12.0": _VALUES_ON_CPU}, "tpu": {"0.10.2": _VALUES_ON_TPU}},
)


def scaled(q: Array, k: Array, *, scale: Number, dtype: DTypeLike) -> Array:
    """Products of float32 queries by keys, times the scale.

    On a CPU the scale goes into the queries, unless these are rounded to 16 bits after it: XLA:CPU writes the products
    and then the scaled ones beside them. Attention of 4096 queries to as many keys, 8 heads of 64 features, took 134 ms
    so and 152 otherwise (medians of 3 on 2 cores, jaxlib 0.10.2).
    """
    if jnp.dtype(dtype).itemsize == 2:
        return scaled_last(q, k, scale=scale, dtype=dtype)
    scale = jnp.asarray(scale, q.dtype)
    first, last = (partial(form, scale=scale, dtype=dtype) for form in (scaled_first, scaled_last))
    return by_platform(q, k, cpu=first, elsewhere=last)


def scaled_first(q: Array, k: Array, *, scale: Number, dtype: DTypeLike) -> Array:
    """Products of scaled queries by keys."""
    return product(q * scale, k, dtype=dtype)


def scaled_last(q: Array, k: Array, *, scale: Number, dtype: DTypeLike) -> Array:
    """Scaled products of queries by keys."""
    return product(q, k, dtype=dtype) * scale
