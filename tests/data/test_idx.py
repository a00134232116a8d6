import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from fjdl.data.idx import parse_idx
from fjdl.errors import DataError

FORMATS = {0x08: ("B", 1), 0x09: ("b", 1), 0x0B: ("h", 2), 0x0C: ("i", 4), 0x0D: ("f", 4), 0x0E: ("d", 8)}
CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def encode(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def reference(data: bytes) -> tuple[tuple[int, ...], list[float]] | None:
    """Axes and values by the letter of the format, or None where the file breaks it."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in FORMATS or data[3] == 0 or len(data) < 4 + 4 * data[3]:
        return None
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    letter, width = FORMATS[data[2]]
    values = data[4 + 4 * data[3] :]
    if len(values) != math.prod(shape) * width:
        return None
    return shape, list(struct.unpack(f">{len(values) // width}{letter}", values))


def too_large(data: bytes, shape: tuple[int, ...]) -> bool:
    return len(shape) > 8 or math.prod(max(size, 1) for size in shape) * FORMATS[data[2]][1] > 2**34


def agrees(data: bytes) -> bool:
    """Whether the parser says what the reference says; `DataError` is its only way to refuse."""
    expected = reference(data)
    try:
        array = parse_idx(data, path="f")
    except DataError:
        return expected is None or too_large(data, expected[0])
    if expected is None or array.shape != expected[0]:
        return False
    values = np.array(expected[1], array.dtype)
    return np.array_equal(array.reshape(-1), values, equal_nan=array.dtype.kind == "f")


arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4))
)


@settings(deadline=None)
@given(arrays)
def test_every_type_and_shape_is_read_back_in_native_order(array):
    parsed = parse_idx(encode(array), path="f")
    assert parsed.dtype == array.dtype
    assert parsed.dtype.isnative
    assert parsed.flags.writeable
    np.testing.assert_array_equal(parsed, array)


@settings(deadline=None)
@given(arrays, st.data())
def test_a_damaged_file_reads_as_the_format_says_or_is_a_data_error(array, data):
    content = bytearray(encode(array))
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["truncate", "extend", "flip", "header"]))
        if kind == "truncate":
            del content[data.draw(st.integers(0, len(content))) :]
        elif kind == "extend":
            content += data.draw(st.binary(min_size=1, max_size=9))
        elif content:
            last = len(content) - 1 if kind == "flip" else min(len(content) - 1, 3 + 4 * array.ndim)
            content[data.draw(st.integers(0, last))] = data.draw(st.integers(0, 255))
    assert agrees(bytes(content))


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_arbitrary_bytes_read_as_the_format_says_or_are_a_data_error(content):
    assert agrees(content)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(FORMATS)),
    st.lists(st.sampled_from([0, 1, 2, 255, 2**16, 2**31, 2**32 - 1]), min_size=1, max_size=12),
    st.binary(max_size=16),
)
def test_arbitrary_axes_are_refused_or_exact(code, axes, values):
    assert agrees(struct.pack(f">BBBB{len(axes)}I", 0, 0, code, len(axes), *axes) + values)


def header(code: int, *axes: int) -> bytes:
    return struct.pack(f">BBBB{len(axes)}I", 0, 0, code, len(axes), *axes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "4 bytes of magic number, got 0 bytes"),
        (b"\0\0\x08", "got 3 bytes"),
        (b"\x1f\x8b\x08\x01", "two zero bytes, got 0x1f8b"),
        (b"\0\0\x0a\x01\0\0\0\0", "type code at byte 2 must be one of .*, got 0x0a"),
        (b"\0\0\x08\0\x07", r"axes at byte 3 must lie in \[1, 8\], got 0"),
        (b"\0\0\x08\xff" + bytes(2000), r"must lie in \[1, 8\], got 255"),
        (b"\0\0\x08\x02\0\0\0\1", "a header of 2 axes must have 12 bytes, got 8"),
        (header(0x08, 3) + b"ab", r"3 bytes of values must follow byte 8 for axes \(3,\) of uint8, got 2"),
        (header(0x08, 3) + b"abcd", "3 bytes .* got 4"),
        (header(0x0E, 1) + bytes(7), "8 bytes .* got 7"),
        (header(0x08, 2)[:4] + b"\x02\0\0\0" + b"ab", "33554432 bytes of values .* got 2"),
        (header(0x08, 16777472, 0, 263168, 6431603), "must span at most 17179869184 bytes"),
        (header(0x08, 0, *[2**32 - 1] * 7), "must span at most 17179869184 bytes"),
        (header(0x0E, *[2**32 - 1] * 8), "must span at most 17179869184 bytes"),
    ],
)
def test_each_violation_is_one_sentence_with_path_position_and_value(data, message):
    with pytest.raises(DataError, match=f"^some/file: .*{message}") as caught:
        parse_idx(data, path="some/file")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (3, 0), (2, 0, 5)])
def test_axes_with_a_zero_give_an_empty_array_of_that_shape(shape):
    assert parse_idx(header(0x0D, *shape), path="f").shape == shape


def test_a_header_that_promises_gigabytes_allocates_nothing():
    tracemalloc.start()
    with pytest.raises(DataError):
        parse_idx(header(0x08, 2**32 - 1) + b"x", path="f")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
