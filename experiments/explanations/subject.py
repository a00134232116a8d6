"""What is explained: a trained classifier of images, some images to show, and more examples to count over."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.diagnoses.gradients import batch_of, spread
from experiments.evaluate import LoadedRun
from fjdl import nn, tree
from fjdl.errors import UsageError
from fjdl.train.precision import at_precision
from fjdl.train.state import evaluated_params
from fjdl.typing import Array, PyTree


class Inapplicable(Exception):
    """Why a figure cannot be drawn of this network."""


class Subject(NamedTuple):
    """A classifier and examples of the test part; inputs are what the model sees, float32 [n, h, w, c]."""

    run: LoadedRun
    variables: tuple[PyTree, PyTree]  # parameters and statistics
    shown: Array  # inputs of the images to show
    captions: list[str]  # of each: "true → predicted (probability)", or one name where these are equal
    predicted: Array
    batch: Mapping[str, Array]  # more examples, as a loss takes them
    many: Array  # their inputs
    labels: Array  # and classes
    parts: Mapping[str, tuple[int, ...]]  # the shape of what each part of the network gives for one example
    layer: str | None  # whose channels are shown
    signature: str | None  # whose outputs are signatures

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return self.run.splits.classes

    @property
    def title(self) -> str:
        """What the examples are."""
        return f"{self.run.splits.name}, test part"

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest number that the model sees in these examples."""
        return float(self.many.min()), float(self.many.max())

    def scores(self, variables: tuple[PyTree, PyTree], x: Array) -> Array:
        """Logits, or logarithms of probabilities of a task that has no logits."""
        outputs, _ = self.run.recipe.model.apply(*variables, x, train=False)
        logits = outputs.get("logits") if isinstance(outputs, Mapping) else outputs
        if logits is not None and logits.ndim == 2:
            return logits
        return jnp.log(self.run.recipe.told.probabilities(outputs))

    def compute(self, function: Callable[..., Any], *args: Any) -> Any:
        """`function(network, *args)` as one program, of which parameters are arguments."""

        def program(variables: Any, *args: Any) -> Any:
            return function(partial(self.scores, variables), *args)

        return jax.jit(at_precision("float32", program))(self.variables, *args)

    def need_layer(self) -> str:
        """The layer whose channels are shown; `Inapplicable` without one."""
        if self.layer is None:
            raise Inapplicable("the network has no layer that gives an image of channels")
        return self.layer


def subject_of(run: LoadedRun, *, images: int, examples: int, layer: str | None, signature: str | None) -> Subject:
    """The best state of a run with evenly spaced examples of its test part.

    Raises `UsageError` for a run whose model does not classify images, and for layers that it does not have.
    """
    recipe, source = run.recipe, run.splits.test
    if images < 1 or examples < 2:
        raise UsageError(f"images must be at least 1 and examples at least 2, got {images} and {examples}")
    batch = _batch(source, examples)
    inputs = recipe.network.seen(batch) if recipe.told.probabilities is not None and "label" in batch else None
    if not (isinstance(inputs, jax.Array) and inputs.ndim == 4 and inputs.shape[-1] in (1, 3)):
        keys = ", ".join(sorted(source.element(0)))
        raise UsageError(f"run must be that of a classifier of images, got one whose examples have {keys}")
    variables = (evaluated_params(run.state), run.state.stats)
    one = jnp.asarray(inputs[:1], jnp.float32)
    parts = {
        name: part.shape[1:]
        for name, part in nn.parts(partial(recipe.model.apply, train=False), *variables, one).items()
        if isinstance(part, jax.ShapeDtypeStruct)
    }
    shown = _batch(source, images)
    made = Subject(
        run, variables, jnp.asarray(recipe.network.seen(shown), jnp.float32), [], jnp.zeros(0, jnp.int32), batch,
        jnp.asarray(inputs, jnp.float32), batch["label"], parts,
        _chosen("layer", layer, parts, last_image(parts, variables[0])),
        _chosen("signature", signature, parts, before_last(parts)),
    )  # fmt: skip
    if layer is not None and len(parts[layer]) != 3:
        raise UsageError(f"layer must give an image of channels, got {layer!r} with the shape {list(parts[layer])}")
    probabilities = np.asarray(made.compute(lambda network, x: jax.nn.softmax(network(x)), made.shown))
    predicted = probabilities.argmax(axis=1)
    captions = [
        f"{_told(made.classes, int(true), int(k))} ({row[k]:.2f})"
        for true, k, row in zip(shown["label"], predicted, probabilities, strict=True)
    ]
    return made._replace(captions=captions, predicted=jnp.asarray(predicted, jnp.int32))


def named(classes: tuple[str, ...], label: int) -> str:
    """The name of a class, a question mark for a label that is none."""
    return classes[label] if 0 <= label < len(classes) else "?"


def _told(classes: tuple[str, ...], true: int, predicted: int) -> str:
    return named(classes, true) if true == predicted else f"{named(classes, true)} → {named(classes, predicted)}"


def _batch(source: Any, count: int) -> dict[str, Array]:
    return batch_of(source, spread(source, count))


def _chosen(option: str, name: str | None, parts: Mapping[str, Any], otherwise: str | None) -> str | None:
    if name is not None and name not in parts:
        raise UsageError(f"{option} must be one of {', '.join(parts)}, got {name!r}")
    return name or otherwise


def last_image(parts: Mapping[str, tuple[int, ...]], params: PyTree) -> str | None:
    """The last part that gives an image of channels and has parameters, or else the last that gives one."""
    images = [name for name, shape in parts.items() if len(shape) == 3]
    own = [f"/{name}/" for name in tree.names(params)]
    with_parameters = [name for name in images if any(f"/{name.split(' (')[0]}/" in each for each in own)]
    return [None, *images, *with_parameters][-1]


def before_last(parts: Mapping[str, tuple[int, ...]]) -> str | None:
    """The part that gives the vector from which the last one makes scores."""
    vectors = [name for name, shape in parts.items() if len(shape) == 1]
    return [None, *vectors[-1:], *vectors[:-1]][-1]
