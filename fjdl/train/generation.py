"""How the model of a recipe writes text: what it is fed, token by token, and how tokens become text."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from fjdl.model import Model
from fjdl.train.network import Carry
from fjdl.typing import Array, PyTree


class Start(NamedTuple):
    """What a model begins with."""

    state: Any  # of all sequences, each leaf with these along its first axis, or without axes
    prompt: Array  # int [n, p]: tokens that are fed first, at least one
    lengths: Array  # int [n]: how many of them


class Generation(NamedTuple):
    """How the model of a recipe writes, by beam search or by chance, and what its tokens mean.

    A language model continues the text that it is given: its `start` is an empty state and the tokens themselves. A
    model that answers, such as one that translates, encodes them in `start`, whose prompt is the token `<bos>`.
    """

    encode: Callable[[str], Sequence[int]]  # tokens of a text, those included that the model wants around it
    decode: Callable[[Sequence[int]], str]  # the text of tokens without the end token
    start: Callable[[PyTree, PyTree, Array, Array, int], Start]  # of params, stats, tokens [n, t], lengths [n], and the
    # most tokens to come: a cache of keys and values has places for these and the prompt's
    step: Callable[[PyTree, PyTree, Any, Array], tuple[Array, Any]]  # (params, stats, state, tokens) -> (logits, state)
    end: int | None = None  # the token that ends a text
    pad: int = 0
    length: int = 100  # most tokens that are written, by default
    beams: int | None = None  # width of the beam search, by default; None: tokens are drawn
    alpha: float = 0.0  # strength of `decoding.length_penalty` in a beam search
    continues: bool = True  # what is written continues the text that was given, and is shown behind it
    source: Callable[[Any], tuple[Array, Array]] | None = None  # of a batch: what is answered, tokens and their lengths
    references: Callable[[str], Sequence[str]] | None = None  # the answers of a part of the data, in its order


def continuation(
    model: Model,
    begin: Carry,
    *,
    encode: Callable[[str], Sequence[int]],
    decode: Callable[[Sequence[int]], str],
    length: int = 100,
    end: int | None = None,
) -> Generation:
    """How a recurrent language model goes on with a text.

    The model sees `((tokens [n, t], lengths [n] or None), state)` and gives logits `[n, t, k]` and the state after
    them, as those of `fjdl.models` with a `carry` in a recipe do; `begin(n)` is the state before n texts.
    """

    def start(params: PyTree, stats: PyTree, tokens: Array, lengths: Array, most: int) -> Start:
        del params, stats, most
        return Start(begin(tokens.shape[0]), tokens, lengths)

    def step(params: PyTree, stats: PyTree, state: PyTree, tokens: Array) -> tuple[Array, PyTree]:
        (logits, after), _ = model.apply(params, stats, ((tokens[:, None], None), state))
        return logits[:, 0], jax.tree.map(lambda new, old: new.astype(old.dtype), after, state)

    return Generation(encode, decode, start, step, end=end, length=length)
