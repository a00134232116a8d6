"""Panoptic quality: segments of things and of stuff, found and told apart (Kirillov et al. 2019, arXiv:1801.00868)."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least
from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts, sums
from fjdl.metrics.state.amounts import Amount
from fjdl.metrics.state.sums import Sum
from fjdl.numerics import safe_divide, signed, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, typed

Map = Integer[Array, "*batch h w"]


class PanopticQuality(NamedTuple):
    """Of each class: panoptic quality, the product of segmentation quality and recognition quality; all in [0, 1]."""

    panoptic: Any
    segmentation: Any
    recognition: Any


class Segments(NamedTuple):
    """Of each class, segments that are matched, predicted without a match, and missed; the sum of the IoUs matched."""

    matched: Amount
    wrong: Amount
    missed: Amount
    overlap: Sum


class Numbered(NamedTuple):
    """The number of each pixel's segment, and the class of each segment, that of no segment where there is none."""

    segment: Int[Array, " p"]
    label: Int[Array, " p"]


@streaming("measure(panoptic_quality(classes), predictions, instances, labels, true_instances)")
def panoptic_quality(classes: int, *, things: Sequence[int] | None = None) -> Metric:
    """Panoptic, segmentation and recognition quality of each class over all images.

    `update(state, predictions, instances, labels, true_instances, crowd=None, weights=None)` with integer maps
    `[*batch, h, w]`: the class of each pixel, and a number that tells instances of a class apart. Pixels of one class
    and number are one segment. Only the classes `things` have instances; numbers of others are not looked at. By
    default all have. A true pixel whose label is outside of `[0, classes)` is void, and a predicted one belongs to no
    segment. `crowd` are pixels of groups, whose segments nobody has to find. Weights are per image.

    A predicted and a true segment of one class match where their IoU, without the void pixels of the predicted one, is
    above ½, which no segment can with two others. A predicted one without a match counts unless more than half of it is
    void or in a crowd of its class. With TP matches, FP and FN others, segmentation quality is the mean IoU of the
    matches, 0 without one, recognition quality `TP / (TP + FP/2 + FN/2)`, panoptic quality their product; NaN for a
    class without segments. Segments are counted over all images and divided once, as in `panopticapi`.
    """
    at_least(1, classes=classes)
    countable = range(classes) if things is None else things
    wrong = [label for label in countable if not 0 <= label < classes]
    if wrong:
        raise ValueError(f"things must lie in [0, {classes}), got {wrong[0]}")
    single = jnp.asarray([label not in countable for label in range(classes)] + [True])

    def init() -> Segments:
        none = amounts.zero((classes,))
        return Segments(none, none, none, sums.zero((classes,)))

    @typed
    def update(
        state: Segments,
        predictions: Map,
        instances: Map,
        labels: Map,
        true_instances: Map,
        crowd: Bool[Array, "*batch h w"] | None = None,
        weights: Weights = None,
    ) -> Segments:
        crowd = jnp.zeros(labels.shape, bool) if crowd is None else jnp.asarray(crowd)
        maps = predictions, instances, labels, true_instances
        flat = [signed(jnp.reshape(x, (-1, x.shape[-2] * x.shape[-1]))).astype(jnp.int32) for x in maps]
        images = (*flat, crowd.reshape(flat[0].shape))
        return merge(state, _of_images(images, weight_of_each(weights, labels.shape[:-2]).ravel(), single))

    @typed
    def merge(a: Segments, b: Segments) -> Segments:
        matched, wrong, missed = (amounts.add(*pair) for pair in zip(a[:3], b[:3], strict=True))
        return Segments(matched, wrong, missed, sums.add(a.overlap, b.overlap))

    @typed
    def compute(state: Segments) -> PanopticQuality:
        matched, wrong, missed = (amounts.to_float(x) for x in state[:3])
        overlap, number = sums.to_float(state.overlap), matched + (wrong + missed) / 2
        recognition = safe_divide(matched, number, otherwise=jnp.nan)
        segmentation = jnp.where(number == 0, jnp.nan, safe_divide(overlap, matched))
        return PanopticQuality(safe_divide(overlap, number, otherwise=jnp.nan), segmentation, recognition)

    return Metric(init, update, merge, compute)


@typed
def panoptic_means(quality: PanopticQuality) -> PanopticQuality:
    """The means of the three over the classes that have segments, NaN without one; `panopticapi`'s row "All".

    >>> panoptic_means(PanopticQuality(*[jnp.array([0.25, jnp.nan, 0.75])] * 3)).panoptic
    Array(0.5, dtype=float32)
    """
    return PanopticQuality(*(_mean(widened(values)) for values in quality))


@partial(jax.jit, inline=True)
def _of_images(images: tuple[Array, ...], each: Array, single: Array) -> Segments:
    """The segments of all images, of which each has its weight."""
    counted, overlap = lax.map(lambda image: _of_image(image, single), images)
    overlap = sums.of(jnp.where(each.astype(bool)[:, None], overlap * each.astype(overlap.dtype)[:, None], 0))
    matched, wrong, missed = (amounts.of(x, each) for x in counted)
    return Segments(matched, wrong, missed, overlap)


def _of_image(image: tuple[Array, ...], single: Array) -> tuple[tuple[Array, Array, Array], Array]:
    """Numbers of matches, of wrong and of missed segments, and the sums of the IoUs, each `[classes]`."""
    predictions, instances, labels, true_instances, crowd = image
    classes = single.shape[0] - 1
    known = [jnp.where((x >= 0) & (x < classes), x, classes) for x in (predictions, labels)]
    found = _numbered(known[0], jnp.where(single[known[0]], 0, instances), jnp.zeros_like(crowd))
    truth = _numbered(known[1], jnp.where(single[known[1]], 0, true_instances), crowd)
    group = jnp.zeros_like(crowd).at[truth.segment].max(crowd)
    pixels = jnp.ones_like(crowd)
    size, true_size = _sizes(found.segment, pixels), _sizes(truth.segment, pixels)
    void = _sizes(found.segment, known[1] == classes)
    not_asked = void + _sizes(found.segment, crowd & (known[0] == known[1]))

    mine, other, shared = _pairs(found.segment, truth.segment)
    union = size[mine] + true_size[other] - shared - void[mine]
    label = found.label[mine]
    match = (label == truth.label[other]) & (label < classes) & ~group[other] & (2 * shared > union)
    has_match, is_found = jnp.zeros_like(crowd).at[mine].max(match), jnp.zeros_like(crowd).at[other].max(match)
    wrong = ~has_match & (2 * not_asked <= size)
    overlap = jnp.where(match, shared.astype(_real()) / jnp.maximum(union, 1).astype(_real()), 0)
    counted = (
        _by_class(label, match.astype(jnp.uint32), classes),
        _by_class(found.label, wrong.astype(jnp.uint32), classes),
        _by_class(truth.label, (~is_found & ~group).astype(jnp.uint32), classes),
    )
    return counted, _by_class(label, overlap, classes)


def _numbered(label: Int[Array, " p"], instance: Int[Array, " p"], crowd: Bool[Array, " p"]) -> Numbered:
    """Pixels of one class, instance and kind are one segment; there are at most as many as pixels."""
    place = jnp.arange(label.shape[0], dtype=jnp.int32)
    *keys, place = lax.sort((label, instance, crowd, place), num_keys=3)
    number = _numbers(*keys)
    segment = jnp.zeros_like(place).at[place].set(number)
    none = jnp.full_like(label, jnp.iinfo(jnp.int32).max)
    return Numbered(segment, none.at[segment].min(label))


def _pairs(mine: Int[Array, " p"], other: Int[Array, " p"]) -> tuple[Array, Array, Array]:
    """Pairs of segments that share pixels, and how many; 0 in entries that are no pair."""
    mine, other = lax.sort((mine, other), num_keys=2)
    number = _numbers(mine, other)
    zeros = jnp.zeros_like(number)
    return zeros.at[number].max(mine), zeros.at[number].max(other), zeros.at[number].add(1)


def _numbers(*keys: Array) -> Int[Array, " p"]:
    """Entries of equal sorted keys have one number, from 0."""
    new = jnp.any(jnp.stack([x[1:] != x[:-1] for x in keys]), axis=0)
    return jnp.cumsum(jnp.concatenate([jnp.zeros_like(new[:1], shape=min(1, keys[0].shape[0])), new]), dtype=jnp.int32)


def _sizes(segment: Int[Array, " p"], counted: Bool[Array, " p"]) -> Int[Array, " p"]:
    return jnp.zeros_like(segment).at[segment].add(counted.astype(jnp.int32))


def _by_class(label: Int[Array, " p"], values: Array, classes: int) -> Array:
    return jnp.zeros(classes, values.dtype).at[label].add(values, mode="drop")


def _real() -> jnp.dtype:
    return jnp.result_type(float)


def _mean(values: Float[Array, " k"]) -> Array:
    there = ~jnp.isnan(values)
    number = jnp.sum(there).astype(values.dtype)
    return safe_divide(jnp.sum(values, where=there), number, otherwise=jnp.nan)
