"""Figures of a network over many examples: what it looks for, how it sorts them, how it is fooled, what units do."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.diagnoses.gradients import by_layer, loss_gradient
from experiments.explanations.subject import Inapplicable, Subject, named
from fjdl import interpret, nn
from fjdl.plots import (
    adversarial_figure,
    histograms_figure,
    image_grid,
    points_figure,
    robustness_figure,
    units_figure,
)
from fjdl.typing import Array

KEY = jax.random.key(0)
RADIUS, RADII, STEPS = 0.1, (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3), 10  # radii as shares of the range of inputs
ASCENT, MOST_IMAGES, MOST_LAYERS, MOST_ACROSS = 128, 20, 8, 8


def maximize(subject: Subject) -> Any:
    """An image for each class at which its score is large."""
    count = min(len(subject.classes), MOST_IMAGES)
    return image_grid(
        _ascended(subject, lambda network, x: jnp.diagonal(network(x)[:, :count]), count),
        captions=list(subject.classes[:count]),
        title=f"What each class looks for: {subject.run.splits.name}",
        note=f"{ASCENT} steps of ascent on each class's score, with jitter and a penalty of total variation",
    )


def channels(subject: Subject) -> Any:
    """An image for each channel of one layer at which its mean is large."""
    layer = subject.need_layer()
    every = subject.parts[layer][-1]
    count = min(every, MOST_IMAGES)

    def means(network: Any, x: Array) -> Array:
        return jnp.diagonal(nn.observed(network, names=(layer,))(x)[1][layer].mean(axis=(1, 2))[:, :count])

    return image_grid(
        _ascended(subject, means, count),
        captions=[str(number) for number in range(count)],
        title=f"What channels of {layer} look for: {subject.run.splits.name}",
        note=f"{count} of {every} channels; {ASCENT} steps of ascent on each one's mean, with jitter",
    )


def pca(subject: Subject) -> Any:
    """Signatures on their first two principal components."""
    signatures = _signatures(subject)
    fitted = interpret.fit_pca(signatures)
    return points_figure(
        interpret.project(fitted, signatures),
        subject.labels,
        classes=subject.classes,
        title=f"PCA of {subject.signature}: {subject.title}",
        xlabel=f"first component, {100 * float(fitted.share[0]):.0f} % of the variance",
        ylabel=f"second component, {100 * float(fitted.share[1]):.0f} %",
    )


def tsne(subject: Subject) -> Any:
    """Signatures by t-SNE."""
    signatures = _signatures(subject)
    perplexity = min(30.0, (signatures.shape[0] - 1) / 3)
    return points_figure(
        jnp.asarray(interpret.tsne(signatures, seed=0, perplexity=perplexity)),
        subject.labels,
        classes=subject.classes,
        title=f"t-SNE of {subject.signature}: {subject.title}",
        xlabel=f"perplexity {perplexity:.0f}; distances between groups mean nothing",
        ylabel="",
    )


def adversarial(subject: Subject) -> Any:
    """The images, changed by projected gradient descent against the class that the network sees."""
    low, high = subject.ends
    radius, shown, predicted = RADIUS * (high - low), subject.shown[:MOST_ACROSS], subject.predicted[:MOST_ACROSS]

    def changed(network: Any, x: Array, classes: Array) -> tuple[Array, Array]:
        found = _pgd(KEY, network, x, classes, radius=radius, low=low, high=high)
        return found, jax.nn.softmax(network(found))

    found, probabilities = subject.compute(changed, shown, predicted)
    now = np.asarray(probabilities).argmax(axis=1)
    after = [f"{named(subject.classes, int(k))} ({row[k]:.2f})" for k, row in zip(now, probabilities, strict=True)]
    fooled = int(np.sum(now != np.asarray(predicted)))
    size = f"{radius:.3g} of each entry, {100 * RADIUS:.0f} % of its range"
    return adversarial_figure(
        shown,
        found,
        before=subject.captions[:MOST_ACROSS],
        after=after,
        title=f"Adversarial images: {subject.title}",
        note=f"{STEPS} steps within {size}; {fooled} of {len(after)} fooled",
    )


def robustness(subject: Subject) -> Any:
    """Accuracy under attacks of growing radius."""
    low, high = subject.ends

    def measure(network: Any, x: Array, classes: Array, radii: Array) -> dict[str, Array]:
        def fgsm(key: Array, *rest: Any, radius: Array) -> Array:
            del key
            return interpret.fgsm(*rest, radius=radius, low=low, high=high)

        attacks = {"FGSM": fgsm, f"PGD, {STEPS} steps": partial(_pgd, low=low, high=high)}
        return {
            name: jax.lax.map(
                lambda radius, attack=attack: (
                    interpret.robust_accuracy(KEY, network, x, classes, attack=partial(attack, radius=radius)).robust
                ),
                radii,
            )
            for name, attack in attacks.items()
        }

    radii = np.array(RADII, np.float32) * np.float32(high - low)
    found = subject.compute(measure, subject.many, subject.labels, radii)
    return robustness_figure(
        radii.tolist(),
        {name: np.asarray(values).tolist() for name, values in found.items()},
        title=f"Accuracy under attack: {subject.title}, {subject.many.shape[0]} examples",
        xlabel=f"radius in L∞, of inputs from {low:.3g} to {high:.3g}",
    )


def units(subject: Subject) -> Any:
    """Dead units of ReLUs, or saturated ones of tanh and sigmoids."""

    order: list[str] = []  # of execution, where a compiled program gives dictionaries with sorted keys

    def measure(network: Any, x: Array) -> dict[str, dict[str, Array]]:
        found = interpret.nonlinearities(network, x)
        order.extend(found.get("relu", {}))
        ends = {"tanh": -1.0, "sigmoid": 0.0}
        smooth = {
            f"{name} {kind}": interpret.saturated_share(values, low=low, high=1.0)
            for kind, low in ends.items()
            for name, values in found.get(kind, {}).items()
        }
        return {"zero": {k: interpret.zero_share(v) for k, v in found.get("relu", {}).items()}, "saturated": smooth}

    found = subject.compute(measure, subject.many)
    kind = "zero" if found["zero"] else "saturated"
    if not found[kind]:
        raise Inapplicable("the network has no ReLU, tanh or sigmoid outside of loops")
    names = order if kind == "zero" else list(found[kind])
    shares = {name.split("/", 1)[-1]: np.asarray(found[kind][name]).tolist() for name in names}
    note = f"{subject.many.shape[0]} examples; in brackets, the number of units"
    title = "ReLU units that are zero" if kind == "zero" else "Saturated units, within 5 % of an end"
    return units_figure(shares, kind=kind, title=f"{title}: {subject.title}", note=note)


def histograms(subject: Subject) -> Any:
    """Distributions of activations, of the loss's gradients and of parameters, layer by layer."""
    recipe, (params, stats) = subject.run.recipe, subject.variables
    named_layers = [row.name for row in recipe.model.layers(subject.many[:1]) if row.parameters]
    layers = [name for name in named_layers if name in subject.parts]
    if not layers:
        raise Inapplicable("no layer of the network is known by name")
    chosen = [layers[int(k)] for k in np.unique(np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS)).round())]

    def measure(of: Any, x: Array) -> dict[str, Any]:
        values = {
            "activations": nn.observed(of, names=chosen)(x)[1],
            "gradients": by_layer(loss_gradient(recipe, params, stats, subject.batch), chosen),
            "parameters": by_layer(params, chosen),
        }
        return {column: interpret.histograms(each) for column, each in values.items()}

    found = subject.compute(measure, subject.many)

    def counted(layer: str) -> dict[str, Any]:
        return {column: (each[layer].counts, each[layer].edges) for column, each in found.items() if layer in each}

    note = f"{subject.many.shape[0]} examples; {len(chosen)} of {len(layers)} layers; shares of entries, logarithmic"
    return histograms_figure(
        {layer: counted(layer) for layer in chosen},
        columns=("activations", "gradients", "parameters"),
        title=f"Distributions: {subject.title}",
        note=note,
    )


def _ascended(subject: Subject, score: Any, count: int) -> Array:
    """As many images, of which `score(network, images)` is large, from grey with a little noise."""
    low, high = subject.ends
    shape = (count, *subject.shown.shape[1:])
    wide = (high - low) * math.sqrt(math.prod(shape[1:]))  # the diagonal of all images
    start = jnp.clip((low + high) / 2 + 0.05 * (high - low) * jax.random.normal(KEY, shape), low, high)

    def ascend(network: Any, start: Array) -> Array:
        return interpret.maximize(
            KEY, partial(score, network), start, steps=ASCENT, step=2 * wide / ASCENT, jitter=1,
            variation=0.02 / (high - low) ** 2, low=low, high=high,
        )  # fmt: skip

    return subject.compute(ascend, start)


def _pgd(key: Array, network: Any, x: Array, classes: Array, *, radius: Any, low: float, high: float) -> Array:
    """Projected descent on the margin, whose gradient a sure network does not lose."""
    return interpret.pgd(
        key, network, x, classes, radius=radius, step=radius / 4, steps=STEPS, low=low, high=high,
        loss=interpret.logit_margin,
    )  # fmt: skip


def _signatures(subject: Subject) -> Array:
    """What the layer of signatures gives, as vectors; the scores themselves where no layer does."""
    name = subject.signature
    if name is None:
        return subject.compute(lambda network, x: network(x), subject.many)
    found = subject.compute(lambda network, x: nn.observed(network, names=(name,))(x)[1][name], subject.many)
    return found.reshape(found.shape[0], -1)
