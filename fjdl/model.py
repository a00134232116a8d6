"""A network as pure functions of its parameters, and models made from models; nothing here imports Flax."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.analysis import Layer
from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import PRNGKey, PyTree

View = tuple[float, Callable[[Any], Any]]


def _unknown(inputs: Any) -> Sequence[Layer]:
    del inputs
    return ()


class Model(NamedTuple):
    """A network as pure functions of its parameters; nothing above this floor knows Flax.

    `init(key, inputs)` gives `(params, stats)`: what the gradient changes and what only the forward pass changes.
    `apply(params, stats, inputs, train=..., key=...)` gives `(outputs, stats)`; `key` is needed only in training.
    `layers(inputs)` gives the cost of each layer by formula, without running any; () where it is not known.
    """

    init: Callable[[PRNGKey, Any], tuple[PyTree, PyTree]]
    apply: Callable[..., tuple[Any, PyTree]]
    layers: Callable[[Any], Sequence[Layer]] = _unknown


def preprocessed(model: Model, transform: Callable[[PyTree, Any], Any], *, fit: Callable[[], PyTree]) -> Model:
    """The model of `transform(state, inputs)`, where `state = fit()` is made once, at initialization.

    The state stands among the model's statistics: it is saved in every checkpoint, restored with the parameters, and
    used unchanged in training and at prediction.
    """

    def init(key: PRNGKey, inputs: Any) -> tuple[PyTree, PyTree]:
        with jax.ensure_compile_time_eval():
            state = fit()
        params, stats = model.init(key, transform(state, inputs))
        return params, {"model": stats, "preprocessing": state}

    def apply(params: PyTree, stats: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        outputs, changed = model.apply(params, stats["model"], transform(stats["preprocessing"], inputs), **options)
        return outputs, {**stats, "model": changed}

    return Model(init, apply, lambda inputs: model.layers(jax.eval_shape(transform, fit(), inputs)))


def rescaled(model: Model, *, shift: float, scale: float) -> Model:
    """The model of `shift + scale · outputs`, so that a network learns numbers around 0 whatever the targets are.

    Raises `ValueError` unless both are finite and the scale is positive.
    """
    within("(-inf, inf)", shift=shift)
    within("(0, inf)", scale=scale)

    def apply(params: PyTree, stats: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        outputs, changed = model.apply(params, stats, inputs, **options)
        return shift + scale * widened(outputs), changed

    return model._replace(apply=apply)


def evaluated(model: Model) -> Model:
    """The model as in evaluation even where it trains: no dropout, and its batch statistics are used and stay.

    For fine-tuning on few examples: the statistics of the pretraining hold.
    """

    def apply(params: PyTree, stats: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        return model.apply(params, stats, inputs, **{**options, "train": False})

    return model._replace(apply=apply)


def averaged_views(model: Model, views: Sequence[View], *, back: Sequence[Callable[[Any], Any]] = ()) -> Model:
    """The model whose prediction is the weighted sum of those of several views; in training it is the model itself.

    `views` are pairs of a weight and a function of the whole batch of inputs, such as a mirror image. Averages of
    logits keep their scale where the weights sum to 1. Krizhevsky et al. 2012 (ten crops). Where outputs have places,
    such as logits of pixels, `back` has for each view the function of its outputs that puts them where they were in
    the image, such as the mirror image again (Ronneberger et al. 2015, arXiv:1505.04597: seven turned images). Raises
    `ValueError` for no views, and for another number of functions in `back` than of views.
    """
    if not views:
        raise ValueError("views must not be empty, got none")
    if back and len(back) != len(views):
        raise ValueError(f"back must have a function for each of the {len(views)} views, got {len(back)}")
    undo = back or [lambda outputs: outputs] * len(views)

    def apply(params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, **options: Any) -> tuple[Any, PyTree]:
        if train:
            return model.apply(params, stats, inputs, train=True, **options)
        outputs = (
            weight * placed(model.apply(params, stats, view(inputs), train=False)[0])
            for (weight, view), placed in zip(views, undo, strict=True)
        )
        return sum(outputs), stats

    return model._replace(apply=apply)


def ensemble(members: Sequence[Model]) -> Model:
    """The model whose prediction is the mean of those of its members, which learn side by side from different examples.

    In training with `k` members, example `i` of a batch is that of member `i mod k` alone, so that an epoch costs as
    much as one of a single model of the members' kind, and shuffled data bring each example to each member in about `k`
    epochs. Means of logits keep their scale. Breiman 1996 (averages of predictors); Lakshminarayanan et al. 2017,
    arXiv:1612.01474 (networks that differ in their initial values and the order of examples). Raises `ValueError` for
    no members, and for a training batch whose size is no multiple of their number.
    """
    if not members:
        raise ValueError("members must not be empty, got none")
    names = [f"member{number}" for number in range(len(members))]

    def init(key: PRNGKey, inputs: Any) -> tuple[PyTree, PyTree]:
        made = [
            member.init(own, inputs) for member, own in zip(members, jax.random.split(key, len(members)), strict=True)
        ]
        params, stats = ({name: pair[part] for name, pair in zip(names, made, strict=True)} for part in (0, 1))
        return params, stats

    def apply(
        params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, key: PRNGKey | None = None
    ) -> tuple[Any, PyTree]:
        keys = [None] * len(members) if key is None else jax.random.split(key, len(members))
        made = [
            member.apply(
                params[name],
                stats[name],
                _share(inputs, number, of=len(members)) if train else inputs,
                train=train,
                key=own,
            )
            for number, (member, name, own) in enumerate(zip(members, names, keys, strict=True))
        ]
        outputs = jax.tree.map(_in_turn if train else _mean, *(outputs for outputs, _ in made))
        return outputs, {name: changed for name, (_, changed) in zip(names, made, strict=True)}

    def layers(inputs: Any) -> list[Layer]:
        rows = [(name, row) for name, member in zip(names, members, strict=True) for row in member.layers(inputs)]
        return [dataclasses.replace(row, name=f"{name}/{row.name}") for name, row in rows]

    return Model(init, apply, layers)


def _share(inputs: Any, number: int, *, of: int) -> Any:
    """The examples of one member: every so manyth."""

    def examples(x: Any) -> Any:
        if x.shape[0] % of:
            raise ValueError(f"batch_size must be a multiple of the {of} members, got {x.shape[0]}")
        return x.reshape(-1, of, *x.shape[1:])[:, number]

    return jax.tree.map(examples, inputs)


def _in_turn(*outputs: Any) -> Any:
    return jnp.stack(outputs, axis=1).reshape(-1, *outputs[0].shape[1:])


def _mean(*outputs: Any) -> Any:
    total = reduce(jnp.add, [widened(each) for each in outputs])
    return (total / len(outputs)).astype(outputs[0].dtype)
