"""Findings for which a run's best state is evaluated: units, gradients, probabilities, labels."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.diagnoses.gradients import batch_of, by_layer, loss_gradient, spread
from experiments.evaluate import LoadedRun
from fjdl import diagnosis, interpret, metrics, nn, tree
from fjdl.diagnosis import Finding
from fjdl.train.precision import at_precision
from fjdl.train.state import evaluated_params
from fjdl.typing import Array, PyTree

BINS, MOST = 15, 8
ENDS = {"tanh": -1.0, "sigmoid": 0.0}


class Looked(NamedTuple):
    """What some examples of the training part do in a network."""

    zero: dict[str, np.ndarray]  # the share of examples at which each unit of a ReLU is 0, by layer
    saturated: dict[str, np.ndarray]  # at which each unit of a tanh or sigmoid is near an end
    gradient: dict[str, float]  # root mean square of the gradient's entries by layer, from the first to the last
    histograms: dict[str, dict[str, Any]]  # by kind and layer


def look(run: LoadedRun, examples: int) -> Looked:
    """Evaluates so many examples of the training part, evenly spaced."""
    recipe, batch = run.recipe, batch_of(run.splits.train, spread(run.splits.train, examples))
    variables, inputs = (evaluated_params(run.state), run.state.stats), recipe.network.seen(batch)
    apply = partial(recipe.model.apply, train=False)
    layers = layers_of(run, inputs)
    order: list[str] = []  # of execution, where a compiled program gives dictionaries with sorted keys

    def measure(variables: Any, batch: Any) -> dict[str, Any]:
        seen = jax.tree.map(_widened, recipe.network.seen(batch))
        kinds = interpret.nonlinearities(lambda seen: apply(*variables, seen)[0], seen)
        order.extend(name for kind in kinds.values() for name in kind)
        params, stats = variables
        gradient = loss_gradient(recipe, params, stats, batch)
        given = [name for name in layers if name in nn.parts(apply, *variables, seen)]
        outputs = nn.observed(apply, names=given)(*variables, seen)[1]
        arrays = {name: each for name, each in outputs.items() if isinstance(each, jax.Array)}
        return {
            "zero": {name: interpret.zero_share(each) for name, each in kinds.get("relu", {}).items() if each.ndim > 1},
            "saturated": {
                name: interpret.saturated_share(each, low=low, high=1.0)
                for kind, low in ENDS.items()
                for name, each in kinds.get(kind, {}).items()
                if each.ndim > 1
            },
            "gradient": {
                layer: _size(each) for layer, each in by_layer(_kernels(gradient), layers).items() if each.size
            },
            "histograms": {
                "activations": interpret.histograms(arrays),
                "gradients": interpret.histograms(by_layer(gradient, layers)),
                "parameters": interpret.histograms(by_layer(params, layers)),
            },
        }

    found = jax.device_get(jax.jit(at_precision("float32", measure))(variables, batch))
    zero, saturated = (
        {name: found[kind][name] for name in order if name in found[kind]} for kind in ("zero", "saturated")
    )
    ordered = {name: float(found["gradient"][name]) for name in layers if name in found["gradient"]}
    return Looked(zero, saturated, ordered, found["histograms"])


def layers_of(run: LoadedRun, inputs: Any) -> list[str]:
    """Layers with parameters in the order in which they are called; leaves where the model does not name its layers."""
    params = tree.names(evaluated_params(run.state))
    named = [row.name for row in run.recipe.model.layers(inputs) if row.parameters]
    known = [name for name in named if any(f"{leaf}/".startswith(f"{name}/") for leaf in params)]
    return list(dict.fromkeys(known or params))


def of_layers(looked: Looked) -> list[Finding]:
    """What units and gradients tell."""
    found = [diagnosis.gradient_flow(looked.gradient)] if looked.gradient else []
    if looked.zero:
        found.append(diagnosis.dead_units({name: each.tolist() for name, each in looked.zero.items()}))
    if looked.saturated:
        found.append(diagnosis.saturated_units({name: each.tolist() for name, each in looked.saturated.items()}))
    return found


class Answers(NamedTuple):
    """What a classifier says of a part of the data."""

    probabilities: np.ndarray  # [n, classes]
    labels: np.ndarray  # [n]


def answers(run: LoadedRun, part: str) -> Answers | None:
    """The probabilities of each class for each example of a part, None of a run that gives none for an example."""
    from fjdl.data.source import to_arrays

    source, told = getattr(run.splits, part), run.recipe.told
    if told.probabilities is None or source.streamed or np.shape(source.element(0).get("label")) != ():
        return None
    params, stats = evaluated_params(run.state), run.state.stats
    probabilities = run.program.evaluator.predict(params, stats, source, answer=told.probabilities)
    labels = np.asarray(to_arrays(source)["label"])
    matches = np.ndim(probabilities) == 2 and len(probabilities) == len(labels)
    return Answers(np.asarray(probabilities), labels) if matches else None


def of_answers(found: Answers, classes: tuple[str, ...]) -> list[Finding]:
    """What probabilities on the validation part tell; no label of it was learned."""
    top = metrics.top_class(jnp.asarray(found.probabilities), jnp.asarray(found.labels))
    diagram = metrics.measure(metrics.calibration(BINS), *top)
    joint = np.zeros((len(classes), len(classes)), int)
    np.add.at(joint, (found.labels, found.probabilities.argmax(axis=1)), 1)
    count = int(np.asarray(suspects(found)).sum())
    return [
        diagnosis.weak_classes(joint.tolist(), classes=classes),
        diagnosis.miscalibration(*(np.asarray(each).tolist() for each in diagram)),
        diagnosis.suspect_labels(count, count=len(found.labels)),
    ]


def suspects(found: Answers) -> np.ndarray:
    """Whether each label is suspect."""
    return np.asarray(metrics.label_suspects(jnp.asarray(found.probabilities), jnp.asarray(found.labels)))


def named_suspects(found: Answers, classes: tuple[str, ...], *, most: int = MOST) -> list[str]:
    """The most suspect labels, those of the least probability first."""
    own = np.take_along_axis(found.probabilities, found.labels[:, None], axis=1)[:, 0]
    places = [place for place in np.argsort(own, kind="stable") if suspects(found)[place]][:most]
    best = found.probabilities.argmax(axis=1)
    return [
        f"example {place}: labelled {classes[found.labels[place]]} ({own[place]:.3f}), rather {classes[best[place]]} "
        f"({found.probabilities[place].max():.3f})"
        for place in places
    ]


def _kernels(gradient: PyTree) -> PyTree:
    """The gradient without those of biases and scales, which may be 0 for good reasons, where there are kernels."""
    leaves = jax.tree.leaves(gradient)
    if not any(leaf.ndim > 1 for leaf in leaves):
        return gradient
    return jax.tree.map(lambda leaf: leaf if leaf.ndim > 1 else leaf[:0], gradient)


def _widened(x: Array) -> Array:
    return x.astype(jnp.float32) if jnp.issubdtype(x.dtype, jnp.floating) else x


def _size(entries: Array) -> Array:
    return jnp.sqrt(jnp.mean(jnp.square(entries)))
