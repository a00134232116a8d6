"""Sequences: the next token of a text, the words of a translation, a label for each token."""

from collections.abc import Callable, Mapping
from functools import partial
from math import log
from typing import Any, NamedTuple

import jax.numpy as jnp

from fjdl import metrics
from fjdl.lengths import length_mask
from fjdl.losses import softmax_cross_entropy
from fjdl.metrics import Metric
from fjdl.numerics import widened
from fjdl.train.recipe import Batch
from fjdl.train.summary import COUNT, INTERVAL, RANGE, Summary
from fjdl.train.tasks.base import Task, TaskLoss, labels_below
from fjdl.train.tasks.classification import numbers_of_confusion
from fjdl.typing import Array

LENGTH, TOKEN_MASK = "length", "token_mask"  # of a batch, see `language_model`


class Tokens(NamedTuple):
    """What a batch asks for at each place, and where it counts."""

    labels: Array  # int [n, t]
    counted: Array  # bool [n, t]


def language_model(
    vocabulary_size: int,
    *,
    smoothing: float = 0.0,
    activation: float = 0.0,
    slowness: float = 0.0,
    per_sequence: bool = False,
    characters: bool = False,
    nats: bool = False,
) -> Task:
    """Logits `[n, t, k]` against the next tokens `batch["target"]` `[n, t]`: cross entropy in nats, and perplexity.

    Tokens count before `batch["length"]` `[n]`, where there is one, and where `batch["token_mask"]` `[n, t]`, where
    there is one, is True: a window of evaluation that overlaps the one before it marks its new tokens. All others have
    neither value nor gradient, NaN included. Each token that counts is one term of the mean over a batch; with
    `per_sequence` the loss of a sequence is the sum over its tokens, as backpropagation through time is usually
    written, and the mean is over sequences.

    Outputs are the logits, or a dictionary of "logits" and what the options need, as a model may give in training
    alone: `activation` times the mean square of "activations" `[n, t, h]`, the last layer's outputs behind dropout, and
    `slowness` times that of the change of "states" `[n, t, h]`, the same before dropout, from one token to the next, 0
    at the first, are added to the loss of each token (Merity et al. 2017, arXiv:1708.02182, AR and TAR).

    With `nats` the model is given the targets and gives the dictionary's "nats" `[n, t]`, `-log p` of each target, in
    the place of logits, as one with an adaptive softmax does: there is no `smoothing` then, and no accuracy.

    Results: perplexity per token, `exp` of the mean nats of all tokens that count, without smoothing; accuracy, of the
    token with the largest logit; with `characters` also bits per character, the mean in units of log 2. The summary
    adds `count`, the number of tokens, `accuracy_interval` by Wilson as if tokens were independent, and
    `perplexity_range`, the 95 % interval of whole sequences that are drawn with all their tokens, by the delta method
    for `metrics.ratio_of_sums`; windows of one text count as sequences. Recipes take `monitor="perplexity",
    mode="min"`. Raises `ValueError` for logits of another shape than the target and the vocabulary have, for nats of
    another shape than the target, and for `smoothing` beside `nats`.
    """
    if nats and smoothing:
        raise ValueError(f"smoothing must be 0 where the model gives nats, got {smoothing}")

    def values(outputs: Any, batch: Batch) -> Array:
        tokens = tokens_of(batch)
        total = (
            _given(outputs, tokens) if nats else _cross_entropy(_logits(outputs), tokens, vocabulary_size, smoothing)
        )
        if isinstance(outputs, Mapping) and activation:
            total = total + activation * _mean_square(outputs["activations"], tokens.counted)
        if isinstance(outputs, Mapping) and slowness:
            total = total + slowness * _mean_square(*_changes(outputs["states"], tokens.counted))
        return total

    def loss(outputs: Any, batch: Batch) -> Array | tuple[Array, Array]:
        each, counted = values(outputs, batch), tokens_of(batch).counted
        return jnp.sum(each, axis=1) if per_sequence else (each, counted.astype(each.dtype))

    tokens_of = partial(_tokens, "target", LENGTH)
    return _task(loss, tokens_of, "target", vocabulary_size, characters=characters, nats=nats)


def translation(vocabulary_size: int, *, smoothing: float = 0.0) -> Task:
    """Logits `[n, t - 1, k]` of a decoder that is fed `batch["target"]` `[n, t]` less its last token, against the rest.

    A target is `<bos>`, the words and `<eos>`; `batch["target_length"]` `[n]` counts them all, and padding behind them
    has no weight. Everything else is as in `language_model`: the mean is over tokens, `<eos>` included and `<bos>` not.

    Another result is `exact`, the share of sequences all of whose tokens have the largest logit. These are those that
    `decoding.greedy` gives exactly, as it is fed the right tokens until it errs. The summary adds `exact_interval` by
    Wilson and `exact_count`, the number of sequences. Where it is what counts, a recipe takes `monitor="exact"` and
    `summary=task.loss.summary._replace(headline="exact", better="max")`.
    """

    def tokens_of(batch: Batch) -> Tokens:
        labels, counted = _tokens("target", "target_length", batch)
        return Tokens(labels[:, 1:], counted[:, 1:])

    def loss(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        tokens = tokens_of(batch)
        each = _cross_entropy(_logits(outputs), tokens, vocabulary_size, smoothing)
        return each, tokens.counted.astype(each.dtype)

    task = _task(loss, tokens_of, "target", vocabulary_size)
    answers = metrics.on(metrics.ratio_of_sums(), lambda outputs, batch: _answered(outputs, tokens_of(batch)))
    return task._replace(
        metrics={
            **task.metrics,
            "exact": metrics.then(answers, lambda ratio: ratio.value),
            "answers": metrics.then(answers, jnp.stack),
        }
    )


def tagging(classes: int, *, smoothing: float = 0.0) -> Task:
    """Logits `[n, t, classes]` against `batch["label"]` `[n, t]`, one class for each token that counts.

    Which tokens count, and the mean, are as in `language_model`; results are those of `classification`, over tokens.
    """

    def loss(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        tokens = tokens_of(batch)
        each = _cross_entropy(_logits(outputs), tokens, classes, smoothing)
        return each, tokens.counted.astype(each.dtype)

    def predicted(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        return metrics.predicted_class(_logits(outputs)), batch["label"]

    tokens_of = partial(_tokens, "label", LENGTH)
    confusion = metrics.on(metrics.confusion_matrix(classes), predicted, weights=lambda b: tokens_of(b).counted)
    summary = Summary("accuracy", numbers=numbers_of_confusion, confusion="confusion")
    return Task(
        TaskLoss(loss, (labels_below("label", classes),), summary),
        {"accuracy": _on_tokens(metrics.accuracy(), tokens_of), "confusion": confusion},
    )


def _task(
    loss: Any,
    tokens_of: Callable[[Batch], Tokens],
    array: str,
    size: int,
    *,
    characters: bool = False,
    nats: bool = False,
) -> Task:
    """The task with this loss, and what is measured of the next token."""
    surprisal = _given if nats else _surprisal

    def of_mean(score: Callable[[Array], Array]) -> Metric:
        return metrics.on(
            metrics.then(metrics.mean(), score),
            lambda outputs, batch: (surprisal(outputs, tokens_of(batch)),),
            weights=lambda batch: tokens_of(batch).counted,
        )

    def sums(outputs: Any, batch: Batch) -> tuple[Array, Array]:
        tokens = tokens_of(batch)
        values = surprisal(outputs, tokens)
        return jnp.sum(values, axis=1), jnp.sum(tokens.counted, axis=1).astype(values.dtype)

    measured = {
        "perplexity": of_mean(jnp.exp),
        "sequences": metrics.on(metrics.then(metrics.ratio_of_sums(), jnp.stack), sums),
    }
    if not nats:
        measured["accuracy"] = _on_tokens(metrics.accuracy(), tokens_of)
    if characters:
        measured["bits_per_character"] = of_mean(lambda mean: mean / log(2))
    summary = Summary("perplexity", better="min", numbers=_numbers)
    return Task(TaskLoss(loss, (labels_below(array, size),), summary), measured)


def _numbers(results: Mapping[str, Any]) -> dict[str, Any]:
    """From nats per token with their error: the number of tokens, and the intervals of perplexity and accuracy."""
    if "sequences" not in results:
        return {}
    if "answers" in results:
        return {**_numbers({k: v for k, v in results.items() if k != "answers"}), **_exact(results["answers"])}
    ratio = metrics.Ratio(*jnp.asarray(results["sequences"]))
    found: dict[str, Any] = {"count": int(ratio.size)}
    found["perplexity" + RANGE] = [float(jnp.exp(bound)) for bound in metrics.ratio_interval(ratio)]
    if "accuracy" in results:
        right = jnp.round(jnp.asarray(results["accuracy"]) * ratio.size)
        found["accuracy" + INTERVAL] = [float(bound) for bound in metrics.wilson_interval(right, ratio.size)]
    return found


def _exact(answers: Any) -> dict[str, Any]:
    """From the share of exact answers: their number and the interval of the share."""
    share, _, size = jnp.asarray(answers)
    bounds = metrics.wilson_interval(jnp.round(share * size), size)
    return {"exact" + COUNT: int(size), "exact" + INTERVAL: [float(bound) for bound in bounds]}


def _answered(outputs: Any, tokens: Tokens) -> tuple[Array, Array]:
    """1 for each sequence all of whose tokens that count are right, else 0; and 1 for each sequence."""
    found = metrics.predicted_class(jnp.where(tokens.counted[..., None], _logits(outputs), 0))
    right = jnp.all((found == tokens.labels) | ~tokens.counted, axis=1)
    return right.astype(jnp.float32), jnp.ones(right.shape, jnp.float32)


def _tokens(array: str, length: str, batch: Batch) -> Tokens:
    labels = batch[array]
    counted = jnp.ones(labels.shape, bool)
    if length in batch:
        counted = length_mask(batch[length], steps=labels.shape[1])
    if TOKEN_MASK in batch:
        counted = counted & (batch[TOKEN_MASK] != 0)
    return Tokens(labels, counted)


def _logits(outputs: Any) -> Array:
    return outputs["logits"] if isinstance(outputs, Mapping) else outputs


def _cross_entropy(logits: Array, tokens: Tokens, size: int, smoothing: float) -> Array:
    """Of each token in nats, 0 where it does not count."""
    if logits.shape != (*tokens.labels.shape, size):
        raise ValueError(
            f"the model must give {size} logits for each token, of shape {(*tokens.labels.shape, size)}, got shape "
            f"{logits.shape}"
        )
    labels = jnp.where(tokens.counted, tokens.labels, -1)
    return softmax_cross_entropy(logits, labels, smoothing=smoothing, ignore_label=-1)


def _surprisal(outputs: Any, tokens: Tokens) -> Array:
    """Nats of each token by the logits, 0 where it does not count."""
    logits = jnp.where(tokens.counted[..., None], _logits(outputs), 0)
    return jnp.where(tokens.counted, metrics.token_surprisal(logits, tokens.labels), 0)


def _given(outputs: Any, tokens: Tokens) -> Array:
    """Nats of each token as the model gives them, 0 where it does not count."""
    values = outputs["nats"] if isinstance(outputs, Mapping) and "nats" in outputs else None
    if values is None or values.shape != tokens.labels.shape:
        got = "none" if values is None else f"shape {values.shape}"
        raise ValueError(
            f'the model must give a dictionary with "nats" of each token, of shape {tokens.labels.shape}, got {got}'
        )
    return jnp.where(tokens.counted, values, 0)


def _mean_square(x: Array, counted: Array) -> Array:
    """Over the last axis, 0 where a token does not count."""
    return jnp.mean(jnp.square(widened(jnp.where(counted[..., None], x, 0))), axis=-1)


def _changes(states: Array, counted: Array) -> tuple[Array, Array]:
    """What each state has more than the one before it, and where both count; the first has none before it."""
    before, both = states[:, :-1], counted[:, 1:] & counted[:, :-1]
    return jnp.pad(states[:, 1:] - before, ((0, 0), (1, 0), (0, 0))), jnp.pad(both, ((0, 0), (1, 0)))


def _on_tokens(metric: Metric, tokens_of: Callable[[Batch], Tokens]) -> Metric:
    return metrics.on(
        metric,
        lambda outputs, batch: (_logits(outputs), tokens_of(batch).labels),
        weights=lambda batch: tokens_of(batch).counted,
    )
