"""Figures of what in each image speaks for the class that the network sees."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from experiments.explanations.subject import Inapplicable, Subject
from fjdl import interpret, nn
from fjdl.plots import image_grid, maps_figure, regions_figure
from fjdl.typing import Array

KEY = jax.random.key(0)
SAMPLES, STEPS, MASKS = 50, 100, 500
SHARE = "share of each map's largest value"


def gradient(subject: Subject) -> Any:
    """The largest slope of the score among each pixel's channels."""
    note = "largest slope of the class's score among the channels"
    return _maps(subject, interpret.saliency_map, "Gradient of the score", signed=False, note=note)


def gradient_times_input(subject: Subject) -> Any:
    """Gradient times input, summed over channels."""
    note = "summed over channels; positive where a pixel raises the class's score"
    return _maps(subject, _summed(interpret.gradient_times_input), "Gradient × input", signed=True, note=note)


def guided(subject: Subject) -> Any:
    """Guided backpropagation."""

    def maps(network: Any, x: Array, classes: Array) -> Array:
        return interpret.saliency_map(interpret.guided(network), x, classes)

    try:
        note = "ReLUs pass back what is positive alone"
        return _maps(subject, maps, "Guided backpropagation", signed=False, note=note)
    except ValueError as error:
        raise Inapplicable(str(error)) from error


def smooth_gradient(subject: Subject) -> Any:
    """SmoothGrad."""
    note = f"mean of {SAMPLES} inputs with noise of 0.15 of their range"
    return _maps(subject, _smooth, "SmoothGrad", signed=False, note=note)


def integrated_gradients(subject: Subject) -> Any:
    """Integrated gradients from an input of zeros, with how far they are from complete."""

    def maps(network: Any, x: Array, classes: Array) -> tuple[Array, Array, Array]:
        found = interpret.integrated_gradients(network, x, classes, steps=STEPS)
        gap = interpret.completeness_gap(network, x, classes, found)
        return found.sum(axis=-1), gap, found.reshape(x.shape[0], -1).sum(axis=1) - gap

    found, gap, whole = subject.compute(maps, subject.shown, subject.predicted)
    worst = float(jnp.max(jnp.abs(gap) / jnp.maximum(jnp.abs(whole), 1e-6)))
    note = f"{STEPS} steps from an input of zeros; maps add up to the score's change to {100 * worst:.2g} %"
    return _figure(subject, found, "Integrated gradients", signed=True, note=note)


def grad_cam(subject: Subject) -> Any:
    """Grad-CAM at one layer."""
    return _activation_maps(subject, interpret.grad_cam, "Grad-CAM")


def grad_cam_plus_plus(subject: Subject) -> Any:
    """Grad-CAM++ at one layer."""
    return _activation_maps(subject, interpret.grad_cam_plus_plus, "Grad-CAM++")


def occlusion(subject: Subject) -> Any:
    """What the score loses while a window of the image is hidden."""
    size = min(subject.shown.shape[1:3])
    window, stride, (low, high) = max(1, size // 4), max(1, size // 16), subject.ends
    fill = (low + high) / 2
    hide = partial(interpret.occlusion, window=window, stride=stride, fill=fill)
    note = f"windows of {window} x {window} pixels filled with {fill:.2g}, in steps of {stride}"
    return _maps(subject, hide, "Occlusion", signed=True, note=note)


def rise(subject: Subject) -> Any:
    """The mean probability under random masks."""
    cells = min(7, max(2, min(subject.shown.shape[1:3]) // 2))

    def maps(network: Any, x: Array, classes: Array) -> Array:
        found = interpret.rise(KEY, lambda x: jax.nn.softmax(network(x)), x, classes, masks=MASKS, cells=cells)
        return found - found.min(axis=(1, 2), keepdims=True)

    note = f"{MASKS} masks of {cells} x {cells} cells; above each map's least value"
    return _maps(subject, maps, "RISE", signed=False, note=note)


def region(subject: Subject) -> Any:
    """The object as the largest connected part of the salient pixels."""

    def regions(network: Any, x: Array, classes: Array) -> tuple[Array, Array]:
        found = interpret.salient_region(_smooth(network, x, classes))
        return found, interpret.region_box(found)

    found, boxes = subject.compute(regions, subject.shown, subject.predicted)
    note = "largest connected part of the fifth of the pixels that SmoothGrad marks most"
    return regions_figure(
        subject.shown, found, boxes, captions=subject.captions, title=f"Salient regions: {subject.title}", note=note
    )


def features(subject: Subject) -> Any:
    """What the channels of one layer give for the first image."""
    layer = subject.need_layer()
    maps = subject.compute(lambda network, x: nn.observed(network, names=(layer,))(x)[1][layer], subject.shown[:1])[0]
    count = min(maps.shape[-1], 64)
    note = f"{count} of {maps.shape[-1]} channels, {maps.shape[0]} x {maps.shape[1]}, for {subject.captions[0]}"
    return image_grid(
        jnp.moveaxis(maps[..., :count], -1, 0)[..., None],
        captions=[str(number) for number in range(count)],
        title=f"Features of {layer}: {subject.title}",
        note=note,
    )


def _summed(attribution: Any) -> Any:
    return lambda network, x, classes: attribution(network, x, classes).sum(axis=-1)


def _smooth(network: Any, x: Array, classes: Array) -> Array:
    return jnp.abs(interpret.smooth_gradient(KEY, network, x, classes, samples=SAMPLES)).max(axis=-1)


def _activation_maps(subject: Subject, method: Any, name: str) -> Any:
    layer = subject.need_layer()

    def maps(network: Any, x: Array, classes: Array) -> Array:
        observed = nn.observed(network, names=(layer,))
        given = observed(x)[1][layer]
        return method(lambda features: observed(x, replaced={layer: features})[0], given, classes)

    found = subject.compute(maps, subject.shown, subject.predicted)
    note = f"layer {layer}, {found.shape[1]} x {found.shape[2]}"
    _, h, w, _ = subject.shown.shape
    return _figure(subject, interpret.enlarged(found, size=(h, w)), name, signed=False, note=note)


def _maps(subject: Subject, method: Any, name: str, *, signed: bool, note: str) -> Any:
    return _figure(subject, subject.compute(method, subject.shown, subject.predicted), name, signed=signed, note=note)


def _figure(subject: Subject, maps: Array, name: str, *, signed: bool, note: str) -> Any:
    return maps_figure(
        subject.shown, maps, captions=subject.captions, title=f"{name}: {subject.title}", label=SHARE, signed=signed,
        note=note,
    )  # fmt: skip
