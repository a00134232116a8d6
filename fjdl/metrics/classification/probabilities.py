"""Scores of predicted probabilities: log loss and Brier score, per example, of all at once and over batches."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.classification.confusion_table import Labels, columns_of, positions
from fjdl.metrics.state import amounts, sums
from fjdl.metrics.state.mean import MeanState, mean, weighted
from fjdl.numerics import signed, widened
from fjdl.typing import Array, Bool, Float, Integer, Num, Scalar, typed

SampleWeight = Num[Array, " n"] | Bool[Array, " n"] | None


@typed
def log_losses(
    y_true: Integer[Array, "*batch"] | Bool[Array, "*batch"],
    y_proba: Float[Array, "*batch k"] | Float[Array, "*batch"],
    *,
    labels: Labels = None,
) -> Float[Array, "*batch"]:
    """Negative logarithm of the probability of the label, in nats, one per example: `-log p[label]`.

    `y_proba` holds one probability per class, in columns `labels` or 0, 1, …, or only that of the second of two
    classes. Probabilities are first clipped to [ε, 1 - ε] with the ε of float32, or of float64 for float64. NaN where
    a probability is not in [0, 1], as a logit, and for a label without a column. That they sum to 1 is not checked.
    """
    y_proba, hits = _columns(y_true, y_proba, labels)
    return _logs(y_proba, hits)


@fused
def _logs(y_proba: Float[Array, "*batch k"], hits: Bool[Array, "*batch k"]) -> Float[Array, "*batch"]:
    p = jnp.sum(jnp.where(hits, y_proba, 0), axis=-1)
    eps = float(jnp.finfo(p.dtype).eps)
    return jnp.where(_valid(hits, y_proba), -jnp.log(jnp.clip(p, eps, 1 - eps)), jnp.nan)


@typed
def brier_scores(
    y_true: Integer[Array, "*batch"] | Bool[Array, "*batch"],
    y_proba: Float[Array, "*batch k"] | Float[Array, "*batch"],
    *,
    labels: Labels = None,
    scale_by_half: bool | Literal["auto"] = "auto",
) -> Float[Array, "*batch"]:
    """Squared distance of the probabilities from the indicator of the label, one per example: `Σ_k (t_k - p_k)²`.

    In [0, 2]; half of it for `scale_by_half`, which "auto" chooses for two classes, where it is `(t - p)²` of one of
    both. Arguments and NaN are those of `log_losses`. Brier 1950.
    """
    y_proba, hits = _columns(y_true, y_proba, labels)
    return _squares(y_proba, hits, y_proba.shape[-1] == 2 if scale_by_half == "auto" else scale_by_half)


@fused
def _squares(y_proba: Float[Array, "*batch k"], hits: Bool[Array, "*batch k"], half: bool) -> Float[Array, "*batch"]:
    distances = jnp.sum(jnp.square(hits.astype(y_proba.dtype) - y_proba), axis=-1)
    return jnp.where(_valid(hits, y_proba), distances * (0.5 if half else 1), jnp.nan)


@typed
def log_loss(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_proba: Float[Array, "n k"] | Float[Array, " n"],
    *,
    labels: Labels = None,
    normalize: bool = True,
    sample_weight: SampleWeight = None,
) -> Scalar:
    """Mean of `log_losses`, in nats; NaN without examples. `normalize=False` gives their sum.

    Summed in two floats, so ten million examples are as exact as ten. Equals `sklearn.metrics.log_loss`, which takes
    for None the labels that occur, and refuses what is NaN here.

    >>> log_loss(jnp.array([0, 1]), jnp.array([0.5, 0.5]))
    Array(0.6931..., dtype=float32)
    """
    reduce = sums.average if normalize else sums.weighted_total
    return reduce(log_losses(y_true, y_proba, labels=labels), sample_weight)


@typed
def brier_score_loss(
    y_true: Integer[Array, " n"] | Bool[Array, " n"],
    y_proba: Float[Array, "n k"] | Float[Array, " n"],
    *,
    labels: Labels = None,
    sample_weight: SampleWeight = None,
    scale_by_half: bool | Literal["auto"] = "auto",
) -> Scalar:
    """Mean of `brier_scores`; NaN without examples.

    Equals `sklearn.metrics.brier_score_loss`, where the positive class of probabilities `[n]` is `pos_label` in place
    of `labels[1]`, and None stands for the labels that occur.

    >>> brier_score_loss(jnp.array([0, 1]), jnp.array([0.5, 1.0]))
    Array(0.125, dtype=float32)
    """
    return sums.average(brier_scores(y_true, y_proba, labels=labels, scale_by_half=scale_by_half), sample_weight)


@streaming("log_loss(y_true, y_proba)")
def negative_log_likelihood() -> Metric:
    """Mean of `log_losses` over all batches, `update(state, probabilities, labels, weights=None)`.

    Labels are 0, 1, …. NaN when nothing was seen. Of all examples at once it is `log_loss`.
    """
    return _streamed(log_losses)


@streaming("brier_score_loss(y_true, y_proba)")
def brier_score() -> Metric:
    """Mean of `brier_scores` over all batches, `update(state, probabilities, labels, weights=None)`.

    Labels are 0, 1, …. NaN when nothing was seen. Of all examples at once it is `brier_score_loss`.
    """
    return _streamed(brier_scores)


def _streamed(per_example: Callable[[Array, Array], Array]) -> Metric:
    average = mean()

    @typed
    def update(
        state: MeanState,
        probabilities: Float[Array, "..."],
        labels: Integer[Array, "*batch"] | Bool[Array, "*batch"],
        weights: Weights = None,
    ) -> MeanState:
        each = weight_of_each(weights, labels.shape)
        values = weighted(per_example(labels, probabilities), each).astype(state.total.dtype)
        return average.merge(state, MeanState(*sums.of(values.ravel()), amounts.sum_of(each)))

    return average._replace(update=update)


def _columns(y_true: Array, y_proba: Array, labels: Labels) -> tuple[Array, Array]:
    """Probabilities of all classes, and which column is that of the label."""
    y_proba = widened(y_proba)
    if y_proba.ndim == y_true.ndim:
        y_proba = jnp.stack([1 - y_proba, y_proba], axis=-1)
    k = y_proba.shape[-1]
    if k < 2:
        raise ValueError(f"y_proba must have at least 2 columns, got {k}")
    place = signed(y_true, name="y_true") if labels is None else positions(y_true, columns_of(labels, k))
    return y_proba, jax.nn.one_hot(place, k, dtype=bool)


def _valid(hits: Bool[Array, "*batch k"], y_proba: Float[Array, "*batch k"]) -> Bool[Array, "*batch"]:
    return jnp.any(hits, axis=-1) & jnp.all((y_proba >= 0) & (y_proba <= 1), axis=-1)
