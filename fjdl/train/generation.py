"""How the model of a recipe writes text: what it is fed, token by token, and how tokens become text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.data.text import SPECIALS, Coder
from fjdl.model import Model
from fjdl.train.network import Carry
from fjdl.typing import Array, PyTree


class Start(NamedTuple):
    """What a model begins with."""

    state: Any  # of all sequences, each leaf with these along its first axis, or without axes
    prompt: Array  # int [n, p]: tokens that are fed first, at least one
    lengths: Array  # int [n]: how many of them


class Attention(NamedTuple):
    """Where a model looks while it answers, for pictures."""

    weights: Callable[[PyTree, PyTree, Any], Array]  # of params, stats and what the model sees in training: [n, t, s]
    given: Callable[[Sequence[int]], list[str]]  # the name of each token that is answered
    written: Callable[[Sequence[int]], list[str]]  # and of each that is written


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
    attention: Attention | None = None  # of a model that answers and has one


def continuation(
    model: Model,
    begin: Carry,
    *,
    coder: Callable[[], Coder],
    length: int = 100,
    end: int | None = None,
) -> Generation:
    """How a recurrent language model goes on with a text.

    The model sees `((tokens [n, t], lengths [n] or None), state)` and gives logits `[n, t, k]` and the state after
    them, as those of `fjdl.models` with a `carry` in a recipe do; `begin(n)` is the state before n texts. `coder()`
    makes numbers of a text and a text of numbers.
    """

    def start(params: PyTree, stats: PyTree, tokens: Array, lengths: Array, most: int) -> Start:
        del params, stats, most
        return Start(begin(tokens.shape[0]), tokens, lengths)

    def step(params: PyTree, stats: PyTree, state: PyTree, tokens: Array) -> tuple[Array, PyTree]:
        (logits, after), _ = model.apply(params, stats, ((tokens[:, None], None), state))
        return logits[:, 0], jax.tree.map(lambda new, old: new.astype(old.dtype), after, state)

    return Generation(
        encode=lambda text: coder().encode(text).tolist(),
        decode=lambda tokens: coder().decode(tokens),
        start=start,
        step=step,
        end=end,
        length=length,
    )


def answers(
    begin: Callable[..., PyTree],
    step: Callable[..., tuple[Array, PyTree]],
    *,
    coders: Callable[[], Mapping[str, Coder]],
    length: int,
    beams: int | None = None,
    alpha: float = 0.0,
    references: Callable[[str], Sequence[str]] | None = None,
    weights: Callable[[PyTree, PyTree, Any], Array] | None = None,
) -> Generation:
    """How a model answers to a text of the array `source` with one of the array `target`, such as its translation.

    `begin(params, stats, (tokens, lengths), steps=...)` is the state before the first of so many tokens,
    `step(params, stats, state, tokens)` goes on, as `nn.method` makes them of `models.EncoderDecoder`; `weights` are
    those of its attention. `coders()` is what a `TextSplits` has, with the special tokens of `data.text.SPECIALS` in
    front of both vocabularies.
    """
    _, pad, bos, eos = range(len(SPECIALS))

    def start(params: PyTree, stats: PyTree, tokens: Array, lengths: Array, most: int) -> Start:
        state = begin(params, stats, (tokens, lengths), steps=most)
        ones = jnp.ones_like(lengths)
        return Start(state, bos * ones[:, None], ones)

    def names(side: str) -> Callable[[Sequence[int]], list[str]]:
        return lambda tokens: [coders()[side].decode([token]) or "<eos>" for token in tokens]

    return Generation(
        encode=lambda text: coders()["source"].encode(text).tolist(),
        decode=lambda tokens: coders()["target"].decode(tokens),
        start=start,
        step=step,
        end=eos,
        pad=pad,
        length=length,
        beams=beams,
        alpha=alpha,
        continues=False,
        source=lambda batch: (batch["source"], batch["source_length"]),
        references=references,
        attention=None if weights is None else Attention(weights, names("source"), names("target")),
    )
