"""Functions under `jax.export` with sizes that are left open: the number of examples, and that of pixels."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.explicit import axis_names
from fjdl.functional import conv2d
from tests.cases import CASES, Case
from tests.laws.rows import DERIVED, arguments, cases, holds, transformed
from tests.laws.test_sharded import arrays_of, filled, result_and_gradients

EXAMPLES = ("*batch", "*shape", "n", "*n")  # names of axes that count examples
COUNTED: dict[str, str] = {  # rows whose way depends on the number, which they must know
    "functional.dropout.dropout_expectation": "sums over all masks of n entries",
    "interpret.embedding.fit_pca": "decomposes a matrix with n rows",
    "losses.triplet.semi_hard_triplets": "sorts and searches n distances",
}


def first_names(case: Case) -> list[str | None]:
    """The name of the first axis of each argument that is an array, as its type says."""
    hints = [p.annotation for p in inspect.signature(case.function).parameters.values()]
    names = [axis_names(hint) for hint in hints[: len(arguments(case))]]
    return [name[0] if name else None for name in names]


def batch_of(case: Case) -> str | None:
    """The name that stands for examples in the first argument that has one."""
    return next((name for name in first_names(case) if name in EXAMPLES), None)


OPEN = [c for c in CASES if batch_of(c) and not c.name.startswith("metrics.") and not c.name.startswith(tuple(COUNTED))]


@transformed(*OPEN)
def test_the_number_of_examples_may_be_left_open(case: Case) -> None:
    """By day gradients are traced too where a rule states them."""
    is_open(case, gradients=holds(case, DERIVED))


@pytest.mark.slow
@cases(*OPEN)
def test_the_number_of_examples_may_be_left_open_in_all_gradients(case: Case) -> None:
    is_open(case, gradients=True)


def is_open(case: Case, *, gradients: bool) -> None:
    (size,) = jax.export.symbolic_shape("size")
    batch, arrays = batch_of(case), arrays_of(case)

    names = first_names(case)
    length = arrays[names.index(batch)][0].shape[0]

    def loosened(x: jax.Array, name: str | None) -> jax.ShapeDtypeStruct:
        open_axis = x.ndim and (name == batch or (name is None and x.shape[0] == length))
        return jax.ShapeDtypeStruct((size, *x.shape[1:]) if open_axis else x.shape, x.dtype)

    def program(*arrays: Any) -> Any:
        return result_and_gradients(case, arrays) if gradients else case.function(*filled(case, arrays))

    loose = [[loosened(x, name) for x in own] for own, name in zip(arrays, names, strict=True)]
    jax.jit(program).trace(*loose)


def test_every_exception_is_still_needed() -> None:
    assert all(any(case.name.startswith(name) for case in CASES) for name in COUNTED)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_a_convolution_exports_for_images_of_any_size(padding: str, rng: np.random.Generator) -> None:
    kernel = jnp.asarray(rng.standard_normal((3, 3, 2, 4)), jnp.float32)
    convolve = jax.jit(lambda x: conv2d(x, kernel, stride=2, padding=padding))
    shape = (*jax.export.symbolic_shape("n, h, w", constraints=["h >= 3", "w >= 3"]), 2)
    exported = jax.export.export(convolve, platforms=("cpu", "cuda", "tpu"))(jax.ShapeDtypeStruct(shape, jnp.float32))
    x = jnp.asarray(rng.standard_normal((2, 5, 8, 2)), jnp.float32)
    np.testing.assert_allclose(exported.call(x), convolve(x), rtol=1e-5, atol=1e-5)
