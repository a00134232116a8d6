"""Worked numbers of the notes on number formats; no function of fjdl computes them, they are what it relies on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree

FORMATS = {"float32": (1, 8, 23), "float16": (1, 5, 10), "bfloat16": (1, 8, 7)}


def test_w24_float16_ends_at_65504() -> None:
    assert float(jnp.finfo(jnp.float16).max) == 65504
    assert np.isinf(np.asarray(jnp.asarray(65520.0).astype(jnp.float16)))


@pytest.mark.parametrize("name", FORMATS)
def test_w25_bits_of_sign_exponent_and_mantissa(name: str) -> None:
    info = jnp.finfo(name)
    assert (info.bits - info.nexp - info.nmant, info.nexp, info.nmant) == FORMATS[name]
    assert sum(FORMATS[name]) == info.bits


@pytest.mark.parametrize(("name", "digits"), [("float32", 7.22), ("float16", 3.31), ("bfloat16", 2.41)])
def test_w26_significant_decimal_digits(name: str, digits: float) -> None:
    np.testing.assert_allclose((jnp.finfo(name).nmant + 1) * np.log10(2), digits, atol=5e-3)


def test_w27_largest_integers() -> None:
    assert (jnp.iinfo(jnp.uint8).max, jnp.iinfo(jnp.int8).max) == (255, 127)


@pytest.mark.parametrize(
    ("name", "stored"), [("float32", 2.6666750908), ("float16", 2.666015625), ("bfloat16", 2.671875)]
)
def test_w28_what_a_cast_keeps_of_2_666675(name: str, stored: float) -> None:
    np.testing.assert_allclose(float(jnp.asarray(2.666675, jnp.float32).astype(name)), stored, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "largest", "eps", "tiny"),
    [
        ("float32", 3.4028235e38, 2.0**-23, 1.1754944e-38),
        ("float16", 65504.0, 2.0**-10, 6.1035156e-5),
        ("bfloat16", 3.3895314e38, 2.0**-7, 1.1754944e-38),
    ],
)
def test_w29_largest_epsilon_and_smallest_normal(name: str, largest: float, eps: float, tiny: float) -> None:
    info = jnp.finfo(name)
    np.testing.assert_allclose([float(info.max), float(info.eps), float(info.tiny)], [largest, eps, tiny], rtol=1e-7)


@pytest.mark.parametrize(("name", "gigabytes"), [("float32", 44.0), ("bfloat16", 22.0), ("int8", 11.0)])
def test_w37_bytes_of_eleven_billion_parameters(name: str, gigabytes: float) -> None:
    parameters = jax.ShapeDtypeStruct((11_000, 1_000_000), name)
    assert tree.size_in_bytes(parameters) == gigabytes * 1e9


def test_e35_half_precision_is_exactly_half() -> None:
    shapes = {"kernel": (5, 7), "bias": (7,)}
    full, half = (
        tree.size_in_bytes({name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()})
        for dtype in ("float32", "float16")
    )
    assert 2 * half == full
