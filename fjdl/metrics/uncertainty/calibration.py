"""Calibration: how often predictions of some confidence are right."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.ranking.ranks import is_positive, not_binary, require_binary
from fjdl.metrics.state import amounts, sums
from fjdl.metrics.state.amounts import Amount
from fjdl.metrics.state.mean import weighted
from fjdl.metrics.state.sums import Sum
from fjdl.numerics import safe_divide, signed, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, Scalar, typed


class CalibrationState(NamedTuple):
    """Of each bin, the sum of confidences, how many predictions were right, and how many there were, by weight."""

    confidences: Sum
    correct: Amount
    seen: Amount


class ReliabilityDiagram(NamedTuple):
    """Of each bin, the mean confidence and the accuracy, NaN where it is empty, and how many predictions it holds."""

    confidence: Array
    accuracy: Array
    seen: Array


@streaming("measure(calibration(15), confidences, correct)")
def calibration(bins: int) -> Metric:
    """The `ReliabilityDiagram` in `bins` equal bins, `update(state, confidences, correct, weights=None)`.

    Bin i holds the confidences in (i / bins, (i + 1) / bins], the first one 0 as well. A confidence that is NaN or not
    in [0, 1], as a logit, makes the mean confidence of an outermost bin NaN and with it the errors below. The errors
    stream by `then(calibration(15), expected_calibration_error)`. For classes, confidences and correctness are those
    of `top_class`; for yes or no, they may be the probability of yes and whether it was yes, as in
    `sklearn.calibration.calibration_curve`. `correct` are booleans, or 0 and 1, or
    -1 and 1; others are refused, and where they are traced the mean confidences are NaN.
    Counts are exact, sums of confidences and of real weights are in two floats.
    """
    at_least(1, bins=bins)

    def init() -> CalibrationState:
        return CalibrationState(sums.zero((bins,)), amounts.zero((bins,)), amounts.zero((bins,)))

    @typed
    def update(
        state: CalibrationState,
        confidences: Float[Array, "*batch"],
        correct: Bool[Array, "*batch"] | Integer[Array, "*batch"],
        weights: Weights = None,
    ) -> CalibrationState:
        require_binary("correct", correct, weights)
        each = weight_of_each(weights, confidences.shape).ravel()
        confidences = widened(confidences).astype(state.confidences.total.dtype).ravel()
        place = jnp.where(each.astype(bool), _bin(confidences, bins), bins)
        inside = (confidences >= 0) & (confidences <= 1) & ~not_binary(correct, weights)
        total = sums.by_index(weighted(jnp.where(inside, confidences, jnp.nan), each), place, bins)
        hits = place[:, None] == jnp.arange(bins, dtype=jnp.int32)[None, :]
        right = hits & is_positive(correct).ravel()[:, None]
        return merge(state, CalibrationState(total, amounts.of(right, each), amounts.of(hits, each)))

    @typed
    def merge(a: CalibrationState, b: CalibrationState) -> CalibrationState:
        return CalibrationState(
            sums.add(a.confidences, b.confidences), amounts.add(a.correct, b.correct), amounts.add(a.seen, b.seen)
        )

    @typed
    def compute(state: CalibrationState) -> ReliabilityDiagram:
        seen = amounts.to_float(state.seen)
        confidence = safe_divide(sums.to_float(state.confidences), seen, otherwise=jnp.nan)
        return ReliabilityDiagram(
            confidence, safe_divide(amounts.to_float(state.correct), seen, otherwise=jnp.nan), seen
        )

    return Metric(init, update, merge, compute)


@typed
def expected_calibration_error(diagram: ReliabilityDiagram) -> Scalar:
    """Mean over all predictions of the distance in [0, 1] of their bin's accuracy and confidence.

    `Σ_b n_b / n · |accuracy_b - confidence_b|`; NaN where nothing was seen. Naeini et al. 2015; Guo et al. 2017,
    arXiv:1706.04599, (3).
    """
    return safe_divide(jnp.sum(diagram.seen * _gaps(diagram)), jnp.sum(diagram.seen), otherwise=jnp.nan)


@typed
def maximum_calibration_error(diagram: ReliabilityDiagram) -> Scalar:
    """Largest distance in [0, 1] of accuracy and confidence of a bin that is not empty; NaN where all are empty.

    Guo et al. 2017, arXiv:1706.04599, (5).
    """
    return jnp.where(jnp.any(diagram.seen > 0), jnp.max(_gaps(diagram)), jnp.nan)


@typed
def top_class(
    probabilities: Float[Array, "*batch k"], labels: Integer[Array, "*batch"]
) -> tuple[Float[Array, "*batch"], Bool[Array, "*batch"]]:
    """The largest probability of each example, and whether it is that of the label; the lowest class of equals."""
    probabilities = widened(probabilities)
    return jnp.max(probabilities, axis=-1), jnp.argmax(probabilities, axis=-1).astype(jnp.int32) == signed(labels)


def _bin(confidences: Float[Array, " n"], bins: int) -> Int[Array, " n"]:
    """How many inner edges lie below the confidence."""
    edges = jnp.arange(1, bins, dtype=confidences.dtype) / bins
    return jnp.sum(confidences[:, None] > edges[None, :], axis=1, dtype=jnp.int32)


def _gaps(diagram: ReliabilityDiagram) -> Float[Array, " bins"]:
    """0 where a bin is empty."""
    return jnp.where(diagram.seen > 0, jnp.abs(diagram.accuracy - diagram.confidence), 0)
