"""Detections and objects of a batch of images, `[n, d]` and `[n, o]`, as arrays inside of a compiled program."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.batch import INDEX
from fjdl.metrics.base import Weights, selection
from fjdl.metrics.detection.scenes import named
from fjdl.numerics import signed, widened
from fjdl.typing import Array, Bool, Float, Int, typed

Arrays = Mapping[str, Any]
_FOUND = ("boxes", "scores", "labels", "valid")
_THERE = ("boxes", "labels", "valid", "area", INDEX)


class Scenes(NamedTuple):
    """Detections by falling score in each image, the valid ones first, and objects; labels are int32."""

    boxes: Float[Array, "n d 4"]
    scores: Float[Array, "n d"]
    labels: Int[Array, "n d"]
    valid: Bool[Array, "n d"]
    true_boxes: Float[Array, "n o 4"]
    true_labels: Int[Array, "n o"]
    there: Bool[Array, "n o"]
    ignored: Bool[Array, "n o"]
    area: Float[Array, "n o"] | None
    number: Int[Array, " n"] | None
    proper: Bool[Array, ""]


@typed
def needed_arrays(detections: Any, truth: Any, *, ignored: str) -> tuple[Arrays, Arrays]:
    """The arrays by name that a metric looks at; `ignored` is the key of objects that are not looked for."""
    parts = []
    for entry, names in ((detections, _FOUND), (truth, (*_THERE, ignored))):
        fields = named(entry)
        if fields is None:
            raise ValueError(f"detections and truth must be mappings or named tuples, got {type(entry).__name__}")
        parts.append({name: fields[name] for name in names if fields.get(name) is not None})
    return parts[0], parts[1]


@typed
def batch_scenes(found: Arrays, objects: Arrays, weights: Weights, *, classes: int, ignored: str) -> Scenes:
    """The arrays of a batch: detections and objects of images that do not count, or of other labels, are not valid."""
    boxes, true_boxes = (_floats(x, "boxes", (None, None, 4)) for x in (found, objects))
    shape, true_shape = boxes.shape[:2], true_boxes.shape[:2]
    if shape[0] != true_shape[0]:
        raise ValueError(f"detections and truth must be of as many images, got {shape[0]} and {true_shape[0]}")
    chosen, proper = selection(weights, shape[:1])
    labels, true_labels = _labels(found, shape), _labels(objects, true_shape)
    return Scenes(
        boxes, _floats(found, "scores", shape), labels, _valid(found, labels, classes) & chosen[:, None],
        true_boxes, true_labels, _valid(objects, true_labels, classes) & chosen[:, None],
        _flags(objects, ignored, true_shape, otherwise=False),
        _floats(objects, "area", true_shape) if objects.get("area") is not None else None,
        _index(objects, shape[0]), proper,
    )  # fmt: skip


def _array(entry: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> Array:
    if entry.get(name) is None:
        raise ValueError(f"boxes must have {name} beside them, got none")
    array = jnp.asarray(entry[name])
    if array.ndim != len(shape) or any(want not in (None, size) for want, size in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} of a batch must have the shape {shape}, got {array.shape}")
    return array


def _floats(entry: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> Array:
    return widened(_array(entry, name, shape))


def _labels(entry: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    if entry.get("labels") is None:
        raise ValueError("boxes must have labels beside them, got none")
    labels: Any = entry["labels"] if isinstance(entry["labels"], jax.Array) else np.asarray(entry["labels"])
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels must be integers, got {labels.dtype}")
    return _array({"labels": signed(labels)}, "labels", shape).astype(jnp.int32)


def _flags(entry: Mapping[str, Any], name: str, shape: tuple[int, ...], *, otherwise: bool) -> Array:
    return jnp.full(shape, otherwise) if entry.get(name) is None else _array(entry, name, shape).astype(bool)


def _valid(entry: Mapping[str, Any], labels: Array, classes: int) -> Array:
    return _flags(entry, "valid", labels.shape, otherwise=True) & (labels >= 0) & (labels < classes)


def _index(entry: Mapping[str, Any], images: int) -> Array | None:
    return None if entry.get(INDEX) is None else _array(entry, INDEX, (images,)).astype(jnp.int32)
