"""Pickles as data: what Python 2 and 3 write is read, everything that could run is refused."""

import collections
import io
import os
import pickle
import struct
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from fjdl.data.pickles import read_pickle, short
from fjdl.errors import DataError

END = b"."


def plain(data: bytes) -> Any:
    return read_pickle(io.BytesIO(data), path="f", known={})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(-(2**59), 2**59), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, derandomize=True)
@given(values)
def test_plain_values_are_what_pickle_reads(value):
    data = pickle.dumps(value, protocol=2)
    assert plain(data) == pickle.loads(data)


def test_shared_and_cyclic_lists_keep_their_identity():
    ring: list[Any] = [1]
    ring.append(ring)
    read = plain(pickle.dumps([ring, ring], protocol=2))
    assert read[0] is read[1]
    assert read[0][1] is read[0]


def test_the_stream_ends_behind_each_of_several_pickles():
    stream = io.BytesIO(pickle.dumps(1, protocol=2) + pickle.dumps("two", protocol=2) + b"rest")
    assert [read_pickle(stream, path="f", known={}) for _ in range(2)] == [1, "two"]
    assert stream.read() == b"rest"


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


HOSTILE = [
    (pickle.dumps(Command(), protocol=2), r"got the global posix\.system, which is refused"),
    (pickle.dumps(collections.OrderedDict(), protocol=2), r"got the global collections\.OrderedDict"),
    (b"cbuiltins\neval\n" + END, r"got the global builtins\.eval"),
    (b"c" + b"a" * 10**6 + b"\nb\n" + END, "got the global a{100}, which"),
    (b"(S'ls'\nios\nsystem\n" + END, "opcode STRING"),
    (b"\x80\x02(cos\nsystem\no.", r"global os\.system"),
    (b"\x82\x01.", "opcode EXT1"),
    (b"\x80\x02]\x81.", "opcode NEWOBJ"),
    (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "protocol must be 2 or 3, got 4"),
    (b"\x8c\x02os\x8c\x06system\x93.", "opcode SHORT_BINUNICODE"),
    (b"I1\n.", "opcode INT"),
    (b"\x80\x02cos\\i\nsystem\n.", r"global os\\\\i\.system"),
    (b"\x80\x02]K\x01R.", "a call of something that is not a function"),
    (b"\x80\x02K\x01)R.", "a call of something that is not a function"),
    (b"\x80\x02K\x01}b.", "a state for a value of type int"),
    (b"\x80\x02K\x01Q.", "a persistent id"),
    (b"\x80\x02K\x01K\x02.", "too many values"),
    (b"\x80\x02.", "not enough values"),
    (b"\x80\x02t.", "a missing mark"),
    (b"\x80\x02(t(h\x00.", "got 0"),
    (b"\x80\x02", "the end of the file before the end"),
    (b"", "the end of the file before the end"),
    (b"\xfe.", "opcode 0xfe"),
    (b"\x80\x02T\xff\xff\xff\x7fab.", "2147483647 bytes in a string4, but only 3 remain"),
    (b"\x80\x02T\xff\xff\xff\xffab.", "byte count < 0"),
    (b"\x80\x02X\x01\x00\x00\x00\xff.", "codec can't decode"),
    (b"\x80\x02}]K\x01s.", "a key that is neither"),
    (b"\x80\x02}K\x01\x85K\x01s.", "a key that is neither"),
    (b"\x80\x02}\x8a\x09" + (2**64).to_bytes(9, "little") + b"K\x01s.", "a key that is neither"),
    (b"\x80\x02}(K\x01u.", "something else than a dictionary"),
    (b"\x80\x02}K\x01a.", "something else than a list"),
]


@pytest.mark.parametrize(("data", "message"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_pickles_are_refused_in_one_sentence(data, message):
    with pytest.raises(DataError, match=message) as caught:
        plain(data)
    assert str(caught.value).startswith("f: ")
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_the_number_of_opcodes_is_bounded(monkeypatch):
    monkeypatch.setattr("fjdl.data.pickles.MOST_OPCODES", 100)
    assert plain(b"\x80\x02](" + b"]" * 95 + b"e.") == [[]] * 95
    with pytest.raises(DataError, match="f: a pickle must have at most 100 opcodes, got more"):
        plain(b"\x80\x02](" + b"]" * 96 + b"e.")


def test_a_memo_with_a_huge_index_costs_nothing():
    tracemalloc.start()
    assert plain(b"\x80\x02K\x01r\xff\xff\xff\x0f.") == 1
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_deep_nesting_is_read_and_freed():
    read = plain(b"\x80\x02" + b"]" * 30_000 + b"a" * 29_999 + b".")
    assert isinstance(read[0][0], list)


def test_the_state_of_a_dictionary_is_dropped():
    data = pickle.dumps({"a": 1}, protocol=2)[:-1] + b"}X\x01\x00\x00\x00zK\x01sb."
    assert plain(data) == {"a": 1}


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.binary(max_size=30))
def test_random_bytes_are_a_data_error_or_a_value(data):
    with suppress(DataError):
        assert type(plain(data)) in (type(None), bool, int, float, str, bytes, list, dict, tuple)


def test_a_value_from_a_file_is_shown_on_one_short_line():
    assert short("a\n" * 100 + "\x1b") == ascii("a\n" * 50)[1:-1]
    assert short(ValueError()) == "ValueError"
    assert short(struct.error("bad")) == "bad"
