"""The ways of cutting a window are one: the same bits for every dtype and place, NaN, infinity and −0 included."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from fjdl.lowering.slices import by_products, by_selections, by_slice, window
from tests.meshes import EVERYWHERE, SPLIT

DTYPES = ("bool", "uint8", "int8", "uint16", "int32", "float16", "bfloat16", "float32", "complex64")
BYTES = ("bool", "uint8", "int8")
SIZES = [((5, 4), (5, 4)), ((7, 6), (6, 1)), ((13, 10), (5, 2)), ((11, 48), (1, 5))]  # of the array, of the window


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """All bytes, or floats among which are NaN, both infinities and −0."""
    if dtype in BYTES:
        return rng.integers(0, 256, shape, dtype=np.uint8).view("int8" if dtype == "int8" else "uint8").astype(dtype)
    values = rng.integers(-1000, 1000, shape).astype(np.float32)
    values.ravel()[:4] = [np.nan, np.inf, -np.inf, -0.0] if jnp.issubdtype(dtype, jnp.inexact) else [1, 2, 3, 4]
    return np.abs(values).astype(dtype) if dtype == "uint16" else values.astype(dtype)


def places(rng: np.random.Generator, extent: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """Every place along each axis, and both ends with each other."""
    spare = [e - s for e, s in zip(extent, size, strict=True)]
    every = [[i if axis == other else rng.integers(s + 1) for other, s in enumerate(spare)]
             for axis in range(2) for i in range(spare[axis] + 1)]  # fmt: skip
    return np.array([[0, 0], spare, [0, spare[1]], [spare[0], 0], *every], np.int32)


def bits(values: jax.Array | np.ndarray) -> bytes:
    return np.asarray(values).tobytes()


@pytest.mark.parametrize(("extent", "size"), SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_form_cuts_the_window_bit_for_bit(
    rng: np.random.Generator, dtype: str, extent: tuple[int, int], size: tuple[int, int]
) -> None:
    array, starts = numbers(rng, (*extent, 2), dtype), places(rng, extent, size)
    x, expected = jnp.asarray(array), np.stack([array[y : y + size[0], c : c + size[1]] for y, c in starts])
    forms = [by_slice, by_selections, window, *([by_products] if dtype in BYTES else [])]
    cut = jax.jit(lambda starts: [jax.vmap(partial(form, x, size=size))(starts) for form in forms])
    for form, found in zip(forms, cut(starts), strict=True):
        assert found.dtype == x.dtype
        assert bits(found) == bits(expected), form.__name__


def test_the_gradient_goes_back_to_the_window_alone(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 13, 12, 2)).astype(np.float32)
    starts, cotangent = np.array([[0, 0], [4, 9], [8, 3]], np.int32), rng.standard_normal((3, 5, 3, 2))

    def weighed(form: Callable[..., jax.Array], x: jax.Array) -> jax.Array:
        return jnp.sum(jax.vmap(partial(form, size=(5, 3)))(x, starts) * cotangent.astype(np.float32))

    expected = np.zeros_like(x)
    for number, (y, column) in enumerate(starts):
        expected[number, y : y + 5, column : column + 3] = cotangent[number]
    for slope in jax.jit(lambda x: [jax.grad(partial(weighed, form))(x) for form in (by_selections, window)])(x):
        np.testing.assert_array_equal(slope, expected)


def test_places_may_vary_where_the_array_does_not_and_the_other_way_round() -> None:
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    for form, dtype in ((by_selections, jnp.float32), (by_products, jnp.uint8)):
        x = jnp.arange(12).astype(dtype)

        def cut(x: jax.Array, starts: jax.Array, form: Callable[..., jax.Array] = form) -> jax.Array:
            return form(x, starts, size=(2,))

        both = [(EVERYWHERE, SPLIT, x, jnp.array([3, 10])), (SPLIT, EVERYWHERE, jnp.tile(x, 2), jnp.array([3]))]
        for here, there, array, starts in both:
            mapped = jax.shard_map(cut, mesh=mesh, in_specs=(here, there), out_specs=SPLIT)
            expected = [3, 4, 10, 11] if len(starts) == 2 else [3, 4, 3, 4]
            np.testing.assert_array_equal(jax.jit(mapped)(array, starts), np.array(expected, dtype))
