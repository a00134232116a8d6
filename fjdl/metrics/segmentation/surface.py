"""Distances between the boundaries of masks: the Hausdorff distance and its percentiles, and the boundary F score."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least, within
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts, sums
from fjdl.metrics.state.amounts import Amount
from fjdl.metrics.state.sums import Sum
from fjdl.numerics import is_label, safe_divide, signed
from fjdl.typing import Array, Bool, Float, Integer, Number, typed

Spacing = tuple[float, float]


class FScores(NamedTuple):
    """For each class, the sum of the scores of the images that have or predict it, and the weight of these images."""

    scores: Sum
    images: Amount


@typed
def mask_boundary(mask: Bool[Array, "*batch h w"]) -> Bool[Array, "*batch h w"]:
    """The pixels of the mask of which one of the four neighbours is outside of it, or of the image.

    Equals the mask less `scipy.ndimage.binary_erosion(mask)`.

    >>> mask_boundary(jnp.ones((3, 3), bool)).astype(int)
    Array([[1, 1, 1],
           [1, 0, 1],
           [1, 1, 1]], dtype=int32)
    """
    padded = jnp.pad(mask, [(0, 0)] * (mask.ndim - 2) + [(1, 1), (1, 1)])
    across = padded[..., 1:-1, 2:] & padded[..., 1:-1, :-2]
    return mask & ~(across & padded[..., 2:, 1:-1] & padded[..., :-2, 1:-1])


@typed
def distance_to(mask: Bool[Array, "*batch h w"], *, spacing: Spacing = (1.0, 1.0)) -> Float[Array, "*batch h w"]:
    """Euclidean distance of each pixel from the nearest one of the mask, inf where the mask is empty; exact.

    `spacing` are the distances of neighbouring rows and columns. Squares are float32, and exact in pixels. Equals
    `scipy.ndimage.distance_transform_edt(~mask, sampling=spacing)`.

    >>> distance_to(jnp.array([[True, False, False]]))
    Array([[0., 1., 2.]], dtype=float32)
    """
    within("(0, inf)", spacing=spacing)
    return _distance(mask, spacing)


@typed
def hausdorff_distance(
    y_true: Bool[Array, "*batch h w"],
    y_pred: Bool[Array, "*batch h w"],
    *,
    percentile: Number = 100.0,
    spacing: Spacing = (1.0, 1.0),
) -> Float[Array, "*batch"]:
    """Largest distance of a pixel of the boundary of either mask from the boundary of the other, one for each pair.

    `percentile=95` gives that of all these distances below which 95 % of them lie, both ways together and interpolated
    linearly, which few stray pixels do not move. Boundaries are those of `mask_boundary`, `spacing` that of
    `distance_to`. inf where one mask is empty, NaN where both are. Raises `ValueError` for a percentile outside of
    [0, 100].

    Equals `medpy.metric.hd`, and `hd95` with `percentile=95`; 100 is the larger of both
    `scipy.spatial.distance.directed_hausdorff` of the pixels of the boundaries.

    >>> a, b = jnp.array([[True, False, False, False]]), jnp.array([[True, False, False, True]])
    >>> hausdorff_distance(a, b)
    Array(3., dtype=float32)
    """
    within("[0, 100]", percentile=percentile)
    within("(0, inf)", spacing=spacing)
    return _hausdorff(y_true, y_pred, jnp.asarray(percentile, jnp.result_type(float)), spacing)


@typed
def boundary_f_score(
    y_true: Bool[Array, "*batch h w"],
    y_pred: Bool[Array, "*batch h w"],
    *,
    tolerance: Number,
    spacing: Spacing = (1.0, 1.0),
) -> Float[Array, "*batch"]:
    """Harmonic mean of precision and recall of boundaries in [0, 1], one for each pair of masks.

    A pixel of the predicted boundary is right if one of the true boundary is at most `tolerance` away, and counts for
    precision; the other way round for recall. Boundaries are those of `mask_boundary`. 0 where one mask is empty, NaN
    where both are. Csurka et al. 2013; Perazzi et al. 2016 take a tolerance of 0.8 % of the diagonal of the image.

    >>> a, b = jnp.array([[True, False, False, False]]), jnp.array([[False, True, False, False]])
    >>> boundary_f_score(a, b, tolerance=0), boundary_f_score(a, b, tolerance=1)
    (Array(0., dtype=float32), Array(1., dtype=float32))
    """
    within("[0, inf]", tolerance=tolerance)
    within("(0, inf)", spacing=spacing)
    return _boundary_f(y_true, y_pred, jnp.asarray(tolerance, jnp.result_type(float)), spacing)


@streaming("measure(class_boundary_f_score(21, tolerance=2.0), predictions, labels)")
def class_boundary_f_score(classes: int, *, tolerance: Number, ignore_label: int | None = None) -> Metric:
    """Mean `boundary_f_score` `[classes]` of each class of a segmentation over the images that have or predict it.

    `update(state, predictions, labels, weights=None)` with arrays `[*batch, h, w]`; weights are per image. A pixel
    labelled `ignore_label` lies outside of every mask, in the labels and in the predictions, so that masks end there
    on both sides. NaN for a class that no image has or predicts. Csurka et al. 2013.
    """
    at_least(1, classes=classes)
    within("[0, inf]", tolerance=tolerance)

    def init() -> FScores:
        return FScores(sums.zero((classes,)), amounts.zero((classes,)))

    @typed
    def update(
        state: FScores,
        predictions: Integer[Array, "*batch h w"],
        labels: Integer[Array, "*batch h w"],
        weights: Weights = None,
    ) -> FScores:
        each = weight_of_each(weights, labels.shape[:-2]).ravel()
        ignored = False if ignore_label is None else is_label(labels, ignore_label, name="ignore_label")
        y_true, y_pred = (jnp.where(ignored, -1, signed(x)) for x in (labels, predictions))

        def of_class(label: Array) -> FScores:
            y, guess = (x == label.astype(x.dtype) for x in (y_true, y_pred))
            score = boundary_f_score(y, guess, tolerance=tolerance).ravel()
            there = ~jnp.isnan(score) & each.astype(bool)
            own = there if each.dtype == bool else jnp.where(there, each, 0)
            return FScores(sums.of(jnp.where(there, score, 0) * own.astype(score.dtype)), amounts.sum_of(own))

        return merge(state, lax.map(of_class, jnp.arange(classes, dtype=jnp.int32)))

    @typed
    def merge(a: FScores, b: FScores) -> FScores:
        return FScores(sums.add(a.scores, b.scores), amounts.add(a.images, b.images))

    @typed
    def compute(state: FScores) -> Float[Array, " classes"]:
        return safe_divide(sums.to_float(state.scores), amounts.to_float(state.images), otherwise=jnp.nan)

    return Metric(init, update, merge, compute)


@partial(jax.jit, static_argnums=1)
def _distance(mask: Bool[Array, "*batch h w"], spacing: Spacing) -> Float[Array, "*batch h w"]:
    """Along each row by the nearest pixel on both sides, then over all rows, one of the result at a time."""
    dtype = jnp.result_type(float)
    h, w = mask.shape[-2:]
    column = jnp.broadcast_to(jnp.arange(w, dtype=dtype), mask.shape)
    left = lax.cummax(jnp.where(mask, column, -jnp.inf), axis=mask.ndim - 1)
    right = lax.cummin(jnp.where(mask, column, jnp.inf), axis=mask.ndim - 1, reverse=True)
    along = jnp.square(jnp.minimum(column - left, right - column) * spacing[1])
    row = jnp.arange(h, dtype=dtype)

    def of_row(here: Array) -> Array:
        away = jnp.square((row - here) * spacing[0])[:, None]
        return jnp.min(along + jnp.broadcast_to(away, along.shape), axis=-2, initial=jnp.inf)

    return jnp.sqrt(jnp.moveaxis(lax.map(of_row, row), 0, -2))


@partial(jax.jit, static_argnums=3)
def _hausdorff(y_true: Array, y_pred: Array, percentile: Array, spacing: Spacing) -> Array:
    distances, there = _between(y_true, y_pred, spacing)
    values = lax.sort(jnp.where(there, distances, jnp.inf))
    number = jnp.sum(there, axis=-1, dtype=jnp.int32)
    place = percentile / 100 * jnp.maximum(number - 1, 0).astype(values.dtype)
    below = jnp.floor(place)
    low, high = (_at(values, x.astype(jnp.int32)) for x in (below, jnp.ceil(place)))
    value = jnp.where(low == high, low, low + (high - low) * (place - below))
    return jnp.where(number == 0, jnp.nan, value)


@partial(jax.jit, static_argnums=3)
def _boundary_f(y_true: Array, y_pred: Array, tolerance: Array, spacing: Spacing) -> Array:
    distances, there = _between(y_true, y_pred, spacing)
    near = there & (distances <= tolerance)
    near = near & jnp.isfinite(distances)
    halves = [x.reshape(*x.shape[:-1], 2, x.shape[-1] // 2) for x in (near, there)]
    right, number = (jnp.sum(x, axis=-1, dtype=jnp.int32).astype(distances.dtype) for x in halves)
    share = safe_divide(right, number)
    score = safe_divide(2 * share[..., 0] * share[..., 1], share[..., 0] + share[..., 1])
    return jnp.where(jnp.all(number == 0, axis=-1), jnp.nan, score)


def _between(y_true: Array, y_pred: Array, spacing: Spacing) -> tuple[Array, Array]:
    """Distances of all pixels from the other boundary, `[*batch, 2 · h · w]`, and which of them are of a boundary."""
    a, b = mask_boundary(y_true), mask_boundary(y_pred)
    distances = _distance(b, spacing), _distance(a, spacing)
    both, there = (jnp.concatenate([x.reshape(*x.shape[:-2], -1) for x in pair], -1) for pair in (distances, (a, b)))
    return both, there


def _at(values: Float[Array, "*batch n"], place: Array) -> Float[Array, "*batch"]:
    return jnp.take_along_axis(values, place[..., None], axis=-1)[..., 0]
