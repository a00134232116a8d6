"""Boundary IoU: the overlap of the bands inside of the boundaries of masks (Cheng et al. 2021, arXiv:2103.16562)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts
from fjdl.metrics.state.amounts import Amount
from fjdl.numerics import is_label, safe_divide, signed
from fjdl.typing import Array, Bool, Float, Int, Integer, typed


class Overlap(NamedTuple):
    """For each class, the weight of the pixels in both bands, and of the pixels in at least one of them."""

    intersection: Amount
    union: Amount


@typed
def boundary_band(mask: Bool[Array, "*batch h w"], *, width: int) -> Bool[Array, "*batch h w"]:
    """The pixels of the mask with a pixel outside of it at most `width` rows and `width` columns away.

    What lies beyond the edge of the image is outside of the mask. It is the mask less its erosion by a square of
    `2 · width + 1` pixels, which equals `width` erosions by 3×3, as in the reference code of the paper; the paper takes
    a width of `max(1, round(0.02 · √(h² + w²)))`. Where the mask is narrower than that, all of it is band.
    """
    at_least(1, width=width)
    return _band(mask, width)


@typed
def boundary_iou(
    y_true: Bool[Array, "*batch h w"], y_pred: Bool[Array, "*batch h w"], *, width: int
) -> Float[Array, "*batch"]:
    """Intersection over union of the `boundary_band`s of two masks, in [0, 1], one per pair of masks.

    NaN where both masks are empty. Cheng et al. 2021, eq. 2; see `boundary_band` for the paper's width.
    """
    both, either = (x.astype(jnp.result_type(float)) for x in _overlap(y_true, y_pred, width))
    return safe_divide(both, either, otherwise=jnp.nan)


@streaming("measure(class_boundary_iou(21, width=2), predictions, labels)")
def class_boundary_iou(classes: int, *, width: int, ignore_label: int | None = None) -> Metric:
    """Boundary IoU `[classes]` of each class of a segmentation, its pixels counted over all images and divided once.

    `update(state, predictions, labels, weights=None)` with arrays `[*batch, h, w]`; weights may be per image or per
    pixel. A pixel labelled `ignore_label` or of weight zero lies outside of every mask, in the labels and in the
    predictions, so that masks end there on both sides. NaN for a class that is neither present nor predicted.
    """
    at_least(1, classes=classes)
    at_least(1, width=width)

    def init() -> Overlap:
        return Overlap(amounts.zero((classes,)), amounts.zero((classes,)))

    @typed
    def update(
        state: Overlap,
        predictions: Integer[Array, "*batch h w"],
        labels: Integer[Array, "*batch h w"],
        weights: Weights = None,
    ) -> Overlap:
        each = weight_of_each(weights, labels.shape)
        chosen = each.astype(bool)
        if ignore_label is not None:
            chosen = chosen & ~is_label(labels, ignore_label, name="ignore_label")
        y_true, y_pred = (jnp.where(chosen, signed(x), -1) for x in (labels, predictions))

        def of_class(label: Array) -> Overlap:
            a, b = (boundary_band(y == label.astype(y.dtype), width=width) for y in (y_true, y_pred))
            return Overlap(*[amounts.of(band.ravel(), each.ravel()) for band in (a & b, a | b)])

        return merge(state, jax.lax.map(of_class, jnp.arange(classes, dtype=jnp.int32)))

    @typed
    def merge(a: Overlap, b: Overlap) -> Overlap:
        return Overlap(amounts.add(a.intersection, b.intersection), amounts.add(a.union, b.union))

    @typed
    def compute(state: Overlap) -> Float[Array, " classes"]:
        return safe_divide(amounts.to_float(state.intersection), amounts.to_float(state.union), otherwise=jnp.nan)

    return Metric(init, update, merge, compute)


def _overlap(
    y_true: Bool[Array, "*batch h w"], y_pred: Bool[Array, "*batch h w"], width: int
) -> tuple[Int[Array, "*batch"], Int[Array, "*batch"]]:
    """Number of pixels in both bands, and in either."""
    a, b = boundary_band(y_true, width=width), boundary_band(y_pred, width=width)
    return jnp.sum(a & b, axis=(-2, -1), dtype=jnp.uint32), jnp.sum(a | b, axis=(-2, -1), dtype=jnp.uint32)


@partial(jax.jit, static_argnums=1)
def _band(mask: Bool[Array, "*batch h w"], width: int) -> Bool[Array, "*batch h w"]:
    return mask & ~_all_within(_all_within(mask, width, axis=-1), width, axis=-2)


def _all_within(mask: Bool[Array, "*shape"], width: int, *, axis: int) -> Bool[Array, "*shape"]:
    """Whether all pixels up to `width` away along the axis are in the mask, by windows that double in length."""
    padding = [(0, 0)] * mask.ndim
    padding[axis] = (width, width)
    window, length = jnp.pad(mask, padding), 1
    while length < 2 * width + 1:
        step = min(length, 2 * width + 1 - length)
        size = window.shape[axis] - step
        ahead = jax.lax.slice_in_dim(window, step, step + size, axis=axis)
        window, length = jax.lax.slice_in_dim(window, 0, size, axis=axis) & ahead, length + step
    return window
