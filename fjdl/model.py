"""A network as pure functions of its parameters, and models made from models; nothing here imports Flax."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from fjdl.analysis import Layer
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


def evaluated(model: Model) -> Model:
    """The model as in evaluation even where it trains: no dropout, and its batch statistics are used and stay.

    For fine-tuning on few examples: the statistics of the pretraining hold.
    """

    def apply(params: PyTree, stats: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        return model.apply(params, stats, inputs, **{**options, "train": False})

    return model._replace(apply=apply)


def averaged_views(model: Model, views: Sequence[View]) -> Model:
    """The model whose prediction is the weighted sum of those of several views; in training it is the model itself.

    `views` are pairs of a weight and a function of the whole batch of inputs, such as a mirror image. Averages of
    logits keep their scale where the weights sum to 1. Krizhevsky et al. 2012 (ten crops). Raises `ValueError` for no
    views.
    """
    if not views:
        raise ValueError("views must not be empty, got none")

    def apply(params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, **options: Any) -> tuple[Any, PyTree]:
        if train:
            return model.apply(params, stats, inputs, train=True, **options)
        outputs = (weight * model.apply(params, stats, view(inputs), train=False)[0] for weight, view in views)
        return sum(outputs), stats

    return model._replace(apply=apply)
