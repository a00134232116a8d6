"""Windows of long texts for language models, and the steps around each step of a sequence."""

import jax.numpy as jnp
import numpy as np

from fjdl.checks import at_least
from fjdl.data.source import Source, from_arrays
from fjdl.integers import require_fit
from fjdl.lengths import length_mask
from fjdl.typing import Array, Integer, Shaped, typed


def next_token_windows(stream: np.ndarray, *, steps: int, lanes: int = 1, filler: int = 0) -> Source:
    """Windows of a text of N tokens in which each token but the first is predicted exactly once.

    The N - 1 predictions, of token `i + 1` from token `i` and what stands before it, are cut into `lanes` contiguous
    parts whose sizes differ by one at most, and each of those into windows of `steps`. Example number
    `lane * windows + window` is
    `{"tokens": int32 [steps], "target": int32 [steps], "length": int32}`, where `target` is `tokens` one step later.
    What a lane lacks at its end is `filler` beyond `length`, which may be 0. The first token of the text has no
    context and is no target; the first window of each later lane begins with the last target of the lane before.
    `window_count` gives the number of windows of a lane. Raises `ValueError` for a stream that is no vector of
    integers, has fewer than two tokens or does not fit int32, and for `steps` and `lanes` below 1.

    >>> windows = next_token_windows(np.arange(6), steps=2, lanes=2)
    >>> windows.element(np.arange(4))["target"].tolist()
    [[1, 2], [0, 0], [3, 4], [5, 0]]
    >>> windows.element(np.arange(4))["length"].tolist()
    [2, 0, 2, 1]
    """
    stream = np.asarray(stream)
    if stream.ndim != 1 or len(stream) < 2 or not np.issubdtype(stream.dtype, np.integer):
        raise ValueError(f"stream must hold two or more integers, got {stream.dtype}{list(stream.shape)}")
    require_fit("stream", stream, np.int32, remedy="")
    require_fit("filler", filler, np.int32, remedy="")
    windows = window_count(len(stream), steps=steps, lanes=lanes)
    start = np.arange(lanes + 1) * (len(stream) - 1) // lanes  # the prediction each lane begins with
    place = start[:-1, None] + np.arange(windows * steps)
    inside = place < start[1:, None]
    ids, place = stream.astype(np.int32), np.where(inside, place, 0)
    shape = (lanes * windows, steps)
    return from_arrays(
        {
            "tokens": np.where(inside, ids[place], filler).reshape(shape).astype(np.int32),
            "target": np.where(inside, ids[place + 1], filler).reshape(shape).astype(np.int32),
            "length": inside.reshape(shape).sum(axis=1).astype(np.int32),
        }
    )


def window_count(length: int, *, steps: int, lanes: int = 1) -> int:
    """The number of windows of each lane that `next_token_windows` cuts a text of `length` tokens into.

    Raises `ValueError` for a length below 2, and for `steps` and `lanes` below 1.
    """
    at_least(2, length=length)
    at_least(1, steps=steps, lanes=lanes)
    longest = -(-(length - 1) // lanes)
    return -(-longest // steps)


@typed
def context_window(
    x: Shaped[Array, "n t *entry"],
    lengths: Integer[Array, "n"] | None = None,
    *,
    past: int,
    future: int = 0,
    padding: float = 0,
) -> Shaped[Array, "n t w *entry"]:
    """Each step of a batch of sequences with the `past` steps before it and the `future` steps after it, in order.

    Entry `[:, s, j]` is `x[:, s - past + j]`, and `padding` where that lies before the first step or at or after the
    length, `w = past + 1 + future`. Of vectors `[n, t, d]` a reshape to `[n, t, w * d]` is the input of a network that
    sees `x⟨t⟩, …, x⟨t-past⟩`; of token numbers it is the context of an n-gram model. Raises `ValueError` for negative
    options.

    >>> context_window(jnp.array([[1, 2, 3]]), past=1).tolist()
    [[[0, 1], [1, 2], [2, 3]]]
    """
    at_least(0, past=past, future=future)
    x = jnp.asarray(x)
    t, w = x.shape[1], past + 1 + future
    if lengths is not None:
        x = jnp.where(_fits(length_mask(lengths, steps=t), x.ndim), x, jnp.asarray(padding, x.dtype))
    sides = [(0, 0), (past, future), *[(0, 0)] * (x.ndim - 2)]
    wide = jnp.pad(x, sides, constant_values=jnp.asarray(padding, x.dtype))
    return jnp.stack([wide[:, j : j + t] for j in range(w)], axis=2)


def _fits(mask: Array, rank: int) -> Array:
    return mask.reshape(*mask.shape, *[1] * (rank - mask.ndim))
