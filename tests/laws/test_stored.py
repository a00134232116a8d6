"""Metrics compare numbers that no compiler rounds in one place and leaves unrounded in another."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from fjdl.functional import linear
from fjdl.metrics.classification.streaming import predicted_class, within_top_k
from fjdl.numerics import stored
from tests.cases import CASES, Case
from tests.laws.rows import build, cases
from tests.support import equations

COMPARISONS = ("eq", "gt", "ge", "lt", "le")
MEASURING = [case for case in CASES if case.result is not None and "metrics" in case.name]


def compared(case: Case) -> Iterator[tuple[Any, ...]]:
    """The operands of each comparison, constants aside, in the row's program of bfloat16."""
    program = jax.make_jaxpr(case.function)(*build(case, dtype=jnp.bfloat16))
    for equation in equations(program):
        if equation.primitive.name in COMPARISONS and not any(isinstance(x, Literal) for x in equation.invars):
            yield tuple(x.aval.dtype for x in equation.invars)


@cases(*MEASURING)
def test_arrays_of_bfloat16_are_compared_in_float32(case: Case) -> None:
    assert not [dtypes for dtypes in compared(case) if jnp.bfloat16 in dtypes]


def test_the_best_class_is_right_where_the_compiler_keeps_more_of_its_logit_than_bfloat16(
    rng: np.random.Generator,
) -> None:
    """A mean, a product and a bias are one fusion on XLA:CPU, whose result it hands on in float32, without rounding."""
    x, kernel, bias = (
        jnp.asarray(rng.normal(size=shape), jnp.bfloat16) for shape in ((500, 7, 7, 256), (256, 10), (10,))
    )

    def logits(x: jax.Array) -> jax.Array:
        return linear(jnp.mean(jax.nn.relu(x), (1, 2)), kernel, bias)

    labels = np.asarray(jax.jit(logits)(x), np.float64).argmax(axis=1)
    hits, classes = (
        jax.jit(lambda x: within_top_k(logits(x), labels, k=1))(x),
        jax.jit(lambda x: predicted_class(logits(x)))(x),
    )
    assert bool(hits.all())
    np.testing.assert_array_equal(classes, labels)


def test_stored_numbers_are_rounded_to_their_dtype_and_float32_is_as_it_was() -> None:
    x = jnp.float32([1 + 2**-9, 3.0e38, 1e-40, -jnp.inf, jnp.nan])
    np.testing.assert_array_equal(stored(x.astype(jnp.bfloat16)), np.asarray(x.astype(jnp.bfloat16), np.float32))
    np.testing.assert_array_equal(stored(x), x)
    assert stored(jnp.int8([3])).dtype == jnp.float32
