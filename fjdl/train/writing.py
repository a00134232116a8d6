"""Texts that the model of a recipe writes behind a prompt, or as answers to all examples of a source."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.data.source import Source
from fjdl.decoding import Decoded, beam_search, length_penalty, sample
from fjdl.errors import UsageError
from fjdl.model import Model
from fjdl.train.evaluation import evaluator
from fjdl.train.generation import Generation
from fjdl.train.precision import Precision
from fjdl.typing import Array, PyTree


class Search(NamedTuple):
    """How tokens are chosen: by beam search, or drawn at a temperature, 0 for the best one."""

    length: int
    beams: int | None = None
    best: int = 1  # answers of a beam search
    temperature: float = 1.0
    filters: tuple[Callable[[Array], Array], ...] = ()
    repetition: float | None = None  # see `decoding.repetition_penalty`


def writer(generation: Generation, search: Search) -> Callable[..., Decoded]:
    """`(key, params, stats, tokens [n, t], lengths [n]) -> Decoded`, which `jax.jit` takes."""

    def write(key: Any, params: PyTree, stats: PyTree, tokens: Array, lengths: Array) -> Decoded:
        start = generation.start(params, stats, tokens, lengths, search.length)
        step = partial(generation.step, params, stats)
        common = {"length": search.length, "end": generation.end, "pad": generation.pad}
        if search.beams is None:
            options = {"temperature": search.temperature, "filters": search.filters, "repetition": search.repetition}
            return sample(key, step, *start, **options, **common)
        penalty = partial(length_penalty, alpha=generation.alpha)
        return beam_search(step, *start, beams=search.beams, best=search.best, penalty=penalty, **common)

    return write


def written(
    generation: Generation, search: Search, params: PyTree, stats: PyTree, text: str, *, count: int, seed: int
) -> list[tuple[str, float]]:
    """`count` texts behind one text, or answers to it, with their scores: drawn, or the best of a beam search.

    Raises `UsageError` for a text without tokens or with others than the model knows, and for a `count` above the
    beams.
    """
    if search.beams is not None and count > search.beams:
        raise UsageError(f"count must be at most the number of beams, {search.beams}, got {count}")
    try:
        given = list(generation.encode(text))
    except ValueError as error:
        raise UsageError(f"prompt must be text that the model knows: {error}") from error
    if not given:
        raise UsageError(f"prompt must hold at least one token, got {text!r}")
    rows = count if search.beams is None else 1
    tokens = jnp.broadcast_to(jnp.asarray(given, jnp.int32), (rows, len(given)))
    write = jax.jit(writer(generation, search._replace(best=count)))
    decoded = write(jax.random.key(seed), params, stats, tokens, jnp.full(rows, len(given), jnp.int32))
    scores = np.asarray(decoded.scores).reshape(-1).tolist()
    before = given if generation.continues else []
    return [
        (generation.decode([*before, *new]), score)
        for new, score in zip(_texts(generation, decoded), scores, strict=True)
    ]


def answered(
    generation: Generation,
    params: PyTree,
    stats: PyTree,
    source: Source,
    *,
    batch_size: int = 256,
    precision: Precision = "float32",
) -> list[str]:
    """The best answer to each example of a source, in its order: one pass on the devices, then text on the host.

    Raises `UsageError` where the generation says no `source`, and for streamed data.
    """
    if generation.source is None:
        raise UsageError("source must say what is answered of a batch, got None")
    write = writer(generation, searched(generation))

    def apply(params: PyTree, stats: PyTree, inputs: tuple[Array, Array], **_: Any) -> tuple[Decoded, PyTree]:
        return write(jax.random.key(0), params, stats, *inputs), stats

    model = Model(lambda key, inputs: ({}, {}), apply)
    made = evaluator(model, {}, inputs=generation.source, batch_size=batch_size, precision=precision)
    decoded = made.predict(params, stats, source)
    return [generation.decode(new) for new in _texts(generation, decoded)]


class Attended(NamedTuple):
    """Where a model looked while it wrote an answer."""

    weights: np.ndarray  # [t, s]: of each token that was written, over what was answered
    inputs: list[str]
    outputs: list[str]


def attended(generation: Generation, params: PyTree, stats: PyTree, source: Sequence[int]) -> Attended:
    """The attention of the best answer to the tokens of a text, its end included where it has one.

    Raises `UsageError` for a generation without attention.
    """
    if generation.attention is None:
        raise UsageError("attention must be that of a generation that has one, got None")
    tokens, lengths = jnp.asarray([source], jnp.int32), jnp.full(1, len(source), jnp.int32)
    begin = jax.jit(lambda params, stats: generation.start(params, stats, tokens, lengths, 1).prompt)
    first = begin(params, stats)
    decoded = jax.jit(writer(generation, searched(generation)))(jax.random.key(0), params, stats, tokens, lengths)
    count = int(np.asarray(decoded.lengths).reshape(-1)[0])
    answer = decoded.tokens.reshape(1, -1)[:, :count]
    target = jnp.concatenate([first, answer], axis=1), jnp.full(1, count + 1, jnp.int32)
    weights = jax.jit(generation.attention.weights)(params, stats, ((tokens, lengths), target))
    names = generation.attention.given(source), generation.attention.written(answer[0].tolist())
    return Attended(np.asarray(weights[0], np.float32), *names)


def searched(generation: Generation) -> Search:
    """The search that a generation names; where it names none, the most probable token each time."""
    return Search(generation.length, generation.beams, temperature=0.0)


def _texts(generation: Generation, decoded: Decoded) -> list[list[int]]:
    """The tokens of each sequence without the end token."""
    lengths = np.asarray(decoded.lengths).reshape(-1)
    rows = np.asarray(decoded.tokens).reshape(len(lengths), -1)
    kept = [row[:n].tolist() for row, n in zip(rows, lengths, strict=True)]
    return [row[:-1] if row and row[-1] == generation.end else row for row in kept]
