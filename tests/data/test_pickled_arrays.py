"""Arrays in pickles of Python 2 and 3, and pickles whose arrays do not fit."""

import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fjdl.data.pickled_arrays import read_array_pickle
from fjdl.errors import DataError


def python2(name: bytes) -> bytes:
    """A byte string as Python 2 wrote it."""
    return b"U" + bytes([len(name)]) + name


@pytest.mark.parametrize("dtype", ["u1", "?", "<i4", ">i2", "<f8", ">f4", "<c8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_what_pickle_reads(dtype, order):
    array = np.asarray(np.arange(6).reshape(2, 3), dtype, order=order)  # type: ignore[call-overload]
    read = read_array_pickle(pickle.dumps({"a": array, b"n": [1, b"\xff"]}, protocol=2), path="f")
    np.testing.assert_array_equal(read[b"a"], array)
    assert read[b"a"].dtype == array.dtype.newbyteorder("=")
    assert not read[b"a"].flags.writeable
    assert read[b"n"] == [1, b"\xff"]


def test_arrays_of_python_2_are_read():
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + python2(b"b") + b"\x87R"
    kind = b"cnumpy\ndtype\n" + python2(b"u1") + b"K\x00K\x01\x87R"
    kind += b"(K\x03" + python2(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = reconstruct + b"(K\x01K\x02K\x03\x86" + kind + b"\x89" + python2(b"abcdef") + b"tb"
    data = b"\x80\x02}(" + python2(b"data") + array + python2(b"labels") + b"](K\x07K\x02eu."
    assert pickle.loads(data, encoding="bytes")[b"labels"] == [7, 2]
    read = read_array_pickle(data, path="f")
    np.testing.assert_array_equal(read[b"data"], [[97, 98, 99], [100, 101, 102]])
    assert read[b"labels"] == [7, 2]


def array_pickle(shape: bytes, content: bytes, code: bytes = b"u1") -> bytes:
    kind = b"cnumpy\ndtype\n" + python2(code) + b"K\x00K\x01\x87R"
    start = b"\x80\x02}" + python2(b"a") + b"cnumpy.core.multiarray\n_reconstruct\n)R"
    return start + b"(K\x01" + shape + kind + b"\x89" + python2(content) + b"tbs."


ARRAYS = [
    (array_pickle(b"K\x02K\x03\x86", b"12345"), r"array \[2, 3\] must have 6 bytes, got 5"),
    (array_pickle(b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", b"1"), r"must have 4611686014132420609 bytes, got 1"),
    (array_pickle(b"J\xff\xff\xff\xffK\x01\x86", b"1"), "a shape, a type and bytes"),
    (array_pickle(b"(" + b"K\x01" * 9 + b"t", b"1"), "a shape, a type and bytes"),
    (array_pickle(b"\x88\x85", b"1"), "a shape, a type and bytes"),
    (array_pickle(b"K\x01\x85", b"12345678", b"O8"), "booleans or numbers, got type O8"),
    (array_pickle(b"K\x01\x85", b"1", b"u1,u1"), "booleans or numbers, got type u1,u1"),
    (b"\x80\x02}" + python2(b"a") + b"cnumpy.core.multiarray\n_reconstruct\n)Rs.", "bytes, got none"),
    (b"\x80\x02}" + python2(b"a") + b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00utf-7\x86Rs.", "latin1"),
    (b"\x80\x02cnumpy\nndarray\n)R.", "not a function"),
    (b"\x80\x02].", "a dictionary with names as keys, got list"),
    (b"\x80\x02}K\x01K\x01s.", "a dictionary with names as keys"),
    (b"\x80\x02}..", "must end after one pickle"),
]


@pytest.mark.parametrize(("data", "message"), ARRAYS, ids=range(len(ARRAYS)))
def test_arrays_that_do_not_fit_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        read_array_pickle(data, path="f")


GOOD = array_pickle(b"K\x02K\x03\x86", b"123456")


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=3), st.integers(0, len(GOOD)))
def test_a_damaged_pickle_is_a_data_error_or_a_dictionary(changes, end):
    data = bytearray(GOOD)
    for position, byte in changes:
        data[position] = byte
    with suppress(DataError):
        assert isinstance(read_array_pickle(bytes(data[:end]), path="f"), dict)
