"""The seam: the one place where a module becomes a pair of pure functions."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from flax import linen

from fjdl.analysis import Layer
from fjdl.nn import trace
from fjdl.typing import PRNGKey, PyTree


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


def functional(module: linen.Module, *, outputs: Sequence[str] = ()) -> Model:
    """The module as a `Model`; its `__call__` takes the inputs and the keyword `train`.

    `outputs` are paths of parts, as in `("stage2", "stage3/block1")`: the model then returns their outputs, features of
    the inputs, as a dictionary by path, and what they do not need is not computed under `jit`.
    """

    def init(key: PRNGKey, inputs: Any) -> tuple[PyTree, PyTree]:
        variables = dict(module.init({"params": key}, inputs, train=False))
        return variables.pop("params", {}), variables

    def run(variables: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        if outputs:
            return trace.outputs(module, variables, inputs, names=outputs, **options)
        mutable = options.pop("mutable", [])
        return module.apply(variables, inputs, mutable=mutable, **options)  # type: ignore[return-value]

    def apply(
        params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, key: PRNGKey | None = None
    ) -> tuple[Any, PyTree]:
        variables = {"params": params, **stats}
        if not train:
            return run(variables, inputs, train=False)[0], stats
        streams = {} if key is None else {"dropout": key}
        return run(variables, inputs, train=True, rngs=streams, mutable=list(stats))

    return Model(init, apply, lambda inputs: trace.layers(module, inputs))


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
