"""Worked numbers of the notes on number formats: what `dtypes.info` says, and casts, images and quantizers show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import augment, dtypes, quant, tree
from tests.support import float64

FORMATS = {"float32": (1, 8, 23), "float16": (1, 5, 10), "bfloat16": (1, 8, 7)}
every_format = pytest.mark.parametrize("name", FORMATS)


def stored(value: float, name: str) -> float:
    """What `tree.cast` keeps of a float64 number."""
    with float64():
        return float(tree.cast({"w": jnp.asarray(value, jnp.float64)}, name)["w"])


def mantissa_bits(name: str) -> int:
    """How many halvings of 1 a cast still keeps beside 1."""
    return max(bits for bits in range(53) if stored(1 + 2.0**-bits, name) == 1 + 2.0**-bits)


def test_w24_float16_ends_at_65504() -> None:
    assert stored(65504, "float16") == 65504
    assert stored(-65504, "float16") == -65504
    assert np.isinf(stored(65520, "float16"))
    assert (dtypes.info("float16").largest, dtypes.info("float16").lowest) == (65504, -65504)


@every_format
def test_w25_bits_of_sign_exponent_and_mantissa(name: str) -> None:
    bits = 8 * tree.size_in_bytes(jax.ShapeDtypeStruct((), name))
    largest = max(power for power in range(1024) if np.isfinite(stored(2.0**power, name)))
    exponent = 1 + (largest + 1).bit_length() - 1  # 2^(e - 1) - 1 is the largest of e bits
    mantissa = mantissa_bits(name)
    assert (bits - exponent - mantissa, exponent, mantissa) == FORMATS[name]
    assert dtypes.info(name)[1:5] == (bits, *FORMATS[name])


@pytest.mark.parametrize(("name", "digits"), [("float32", 7.22), ("float16", 3.31), ("bfloat16", 2.41)])
def test_w26_significant_decimal_digits(name: str, digits: float) -> None:
    np.testing.assert_allclose((mantissa_bits(name) + 1) * np.log10(2), digits, atol=5e-3)
    np.testing.assert_allclose(dtypes.info(name).digits, digits, atol=5e-3)


def test_w27_largest_integers() -> None:
    assert augment.invert(np.zeros((1, 1, 1), np.uint8)).item() == 255
    codes = quant.absmax_quantize(np.array([0.5, 3.0, -3.0], np.float32)).values
    assert (codes.dtype, codes.max(), codes.min()) == (jnp.int8, 127, -127)
    assert [dtypes.info(name).largest for name in ("uint8", "int8", "int4")] == [255, 127, 7]


@pytest.mark.parametrize(
    ("name", "kept"), [("float32", 2.6666750908), ("float16", 2.666015625), ("bfloat16", 2.671875)]
)
def test_w28_what_a_cast_keeps_of_2_666675(name: str, kept: float) -> None:
    np.testing.assert_allclose(stored(2.666675, name), kept, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "largest", "eps", "tiny"),
    [
        ("float32", 3.4028234664e38, 2.0**-23, 1.1754943508e-38),
        ("float16", 65504.0, 2.0**-10, 6.103515625e-5),
        ("bfloat16", 3.3895313892e38, 2.0**-7, 1.1754943508e-38),
    ],
)
def test_w29_largest_epsilon_and_smallest_normal(name: str, largest: float, eps: float, tiny: float) -> None:
    np.testing.assert_allclose(stored(largest, name), largest, rtol=1e-9)
    assert np.isinf(stored(largest * (1 + eps / 2), name))
    assert (stored(1 + eps, name), stored(1 + eps / 2, name)) == (1 + eps, 1)
    np.testing.assert_allclose(stored(tiny, name), tiny, rtol=1e-9)
    info = dtypes.info(name)
    np.testing.assert_allclose((info.largest, info.eps, info.tiny), (largest, eps, tiny), rtol=1e-9)


def test_e33_float16_has_three_significant_digits_and_not_three_after_the_point() -> None:
    for value, kept in ((1234.567, 1235), (12.34567, 12.34375), (0.1234567, 0.1234741)):
        np.testing.assert_allclose(stored(value, "float16"), kept, rtol=1e-6)
    assert stored(1 + 2.0**-11, "float16") == 1  # it has fewer fraction bits than float32, not only a smaller range


@pytest.mark.parametrize(("name", "gigabytes"), [("float32", 44.0), ("bfloat16", 22.0), ("int8", 11.0)])
def test_w37_bytes_of_eleven_billion_parameters(name: str, gigabytes: float) -> None:
    parameters = jax.ShapeDtypeStruct((11_000, 1_000_000), name)
    assert tree.size_in_bytes(parameters) == gigabytes * 1e9
    assert dtypes.info(name).bytes_of(11_000_000_000) == gigabytes * 1e9


def test_w37_four_bits_are_half_of_eight() -> None:
    assert dtypes.info("int4").bytes_of(11_000_000_000) == 5.5e9
    four = jax.eval_shape(
        lambda x: quant.absmax_quantize(x, bits=4), jax.ShapeDtypeStruct((11_000, 1_000_000), "float32")
    )
    assert tree.size_in_bytes(four) == 5.5e9 + 4


def test_short_floats_end_and_overflow_as_their_definition_says() -> None:
    """Micikevicius et al. 2022, table 1."""
    e4m3, e5m2 = dtypes.info("float8_e4m3fn"), dtypes.info(jnp.float8_e5m2)
    assert (e4m3.exponent, e4m3.mantissa, e4m3.largest, e4m3.tiny, e4m3.least) == (4, 3, 448, 2**-6, 2**-9)
    assert (e5m2.exponent, e5m2.mantissa, e5m2.largest, e5m2.tiny, e5m2.least) == (5, 2, 57344, 2**-14, 2**-16)
    for info in (e4m3, e5m2):
        assert np.isinf(stored(1e6, info.name)) == info.infinity
        assert np.isnan(stored(1e6, info.name)) != info.infinity


@pytest.mark.parametrize(
    ("dtype", "sentence"),
    [
        ("bool", "dtype must be a format of real numbers, got bool"),
        ("complex64", "dtype must be a format of real numbers, got complex64"),
        ("float12", "dtype must be a number format, got 'float12'"),
    ],
)
def test_what_is_no_format_of_real_numbers_is_refused(dtype: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        dtypes.info(dtype)


def test_e35_half_precision_is_exactly_half() -> None:
    shapes = {"kernel": (5, 7), "bias": (7,)}
    full, half = (
        tree.size_in_bytes({name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()})
        for dtype in ("float32", "float16")
    )
    assert 2 * half == full
