"""Windows of a stream predict each token once; context windows are shifted copies; padding is only padding."""

import numpy as np
import pytest

from fjdl.data.source import to_arrays
from fjdl.data.text import (
    NO_SPECIALS,
    WHITESPACE,
    Coder,
    build_vocabulary,
    context_window,
    encode_texts,
    next_token_windows,
    padded,
    window_count,
)


@pytest.mark.parametrize("length", [2, 3, 8, 29, 30, 31])
@pytest.mark.parametrize(("steps", "lanes"), [(1, 1), (5, 1), (5, 3), (4, 7), (100, 4)])
def test_every_token_but_the_first_is_predicted_once(length: int, steps: int, lanes: int) -> None:
    stream = np.arange(100, 100 + length)
    arrays = to_arrays(next_token_windows(stream, steps=steps, lanes=lanes, filler=7))
    windows = window_count(length, steps=steps, lanes=lanes)
    assert {name: array.shape for name, array in arrays.items()} == {
        "tokens": (lanes * windows, steps), "target": (lanes * windows, steps), "length": (lanes * windows,)
    }  # fmt: skip
    assert all(array.dtype == np.int32 for array in arrays.values())
    real = np.arange(steps) < arrays["length"][:, None]
    np.testing.assert_array_equal(arrays["target"][real], stream[1:])  # lane by lane, window by window
    np.testing.assert_array_equal(arrays["tokens"][real], stream[:-1])
    assert (arrays["target"][~real] == 7).all()
    assert (arrays["tokens"][~real] == 7).all()
    sizes = arrays["length"].reshape(lanes, windows).sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    assert windows == -(-int(sizes.max()) // steps)


def test_the_next_window_of_a_lane_goes_on_where_the_last_one_ended() -> None:
    arrays = to_arrays(next_token_windows(np.arange(41), steps=4, lanes=2))
    tokens = arrays["tokens"].reshape(2, 5, 4)
    np.testing.assert_array_equal(tokens.reshape(2, 20), np.arange(40).reshape(2, 20))


@pytest.mark.parametrize(
    ("stream", "options", "rule"),
    [
        (np.arange(1), {}, r"stream must hold two or more integers, got int64\[1\]"),
        (np.zeros(5), {}, r"got float64\[5\]"),
        (np.zeros((2, 2), int), {}, r"got int64\[2, 2\]"),
        (np.arange(5), {"steps": 0}, "steps must be at least 1"),
        (np.arange(5), {"lanes": 0}, "lanes must be at least 1"),
    ],
)
def test_wrong_streams_are_refused(stream, options, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        next_token_windows(stream, **({"steps": 2} | options))


def test_a_context_window_holds_the_steps_around_each_step(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 5, 3)).astype(np.float32)
    lengths = np.array([5, 3])
    windows = np.asarray(context_window(x, lengths, past=2, future=1, padding=9))
    assert windows.shape == (2, 5, 4, 3)
    for n, s, j in np.ndindex(2, 5, 4):
        place = s - 2 + j
        expected = x[n, place] if 0 <= place < lengths[n] else np.full(3, 9)
        np.testing.assert_array_equal(windows[n, s, j], expected)


def test_padding_and_what_stands_in_it_never_enter_a_context() -> None:
    x = np.array([[1.0, 2.0, np.nan]], np.float32)
    assert context_window(x, np.array([2]), past=1).tolist() == [[[0, 1], [1, 2], [2, 0]]]
    assert context_window(np.array([[4, 5]]), past=0).tolist() == [[[4], [5]]]
    assert context_window(np.zeros((1, 0, 2), np.float32), past=1).shape == (1, 0, 2, 2)
    with pytest.raises(ValueError, match="past must be at least 0, got -1"):
        context_window(x, past=-1)


def test_sequences_of_any_length_become_rows() -> None:
    rows, lengths = padded([[1, 2, 3], [], np.array([4])], steps=2, filler=9)
    assert (rows.tolist(), lengths.tolist()) == ([[1, 2], [9, 9], [4, 9]], [2, 0, 1])
    assert (rows.dtype, lengths.dtype) == (np.int32, np.int32)
    assert padded([])[0].shape == (0, 0)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        padded([[1]], steps=0)


def test_texts_may_have_their_ends_marked() -> None:
    coder = Coder(WHITESPACE, build_vocabulary(["a", "b", "c"]))
    rows, lengths = encode_texts(coder, ["a b c", "", "d"], ends=True, steps=4)
    assert rows.tolist() == [[2, 4, 5, 3], [2, 3, 1, 1], [2, 0, 3, 1]]
    assert lengths.tolist() == [4, 2, 3]
    rows, lengths = encode_texts(coder, ["a b c", "a"])
    assert (rows.tolist(), lengths.tolist()) == ([[4, 5, 6], [4, 1, 1]], [3, 1])
    assert encode_texts(coder, ["a b c"], ends=True)[1].tolist() == [5]
    with pytest.raises(ValueError, match="steps must be at least 2, got 1"):
        encode_texts(coder, ["a"], ends=True, steps=1)
    with pytest.raises(ValueError, match="must have a token for bos"):
        encode_texts(Coder(WHITESPACE, build_vocabulary(["a"], specials=NO_SPECIALS)), ["a"], ends=True)
