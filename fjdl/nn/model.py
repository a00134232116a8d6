"""The seam: the one place where a module becomes a pair of pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import linen

from fjdl.typing import PRNGKey, PyTree


class Model(NamedTuple):
    """A network as pure functions of its parameters; nothing above this floor knows Flax.

    `init(key, inputs)` gives `(params, stats)`: what the gradient changes and what only the forward pass changes.
    `apply(params, stats, inputs, train=..., key=...)` gives `(outputs, stats)`; `key` is needed only in training.
    """

    init: Callable[[PRNGKey, Any], tuple[PyTree, PyTree]]
    apply: Callable[..., tuple[Any, PyTree]]


def functional(module: linen.Module) -> Model:
    """The module as a `Model`; its `__call__` takes the inputs and the keyword `train`."""

    def init(key: PRNGKey, inputs: Any) -> tuple[PyTree, PyTree]:
        variables = dict(module.init({"params": key}, inputs, train=False))
        return variables.pop("params", {}), variables

    def apply(
        params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, key: PRNGKey | None = None
    ) -> tuple[Any, PyTree]:
        variables = {"params": params, **stats}
        if not train:
            return module.apply(variables, inputs, train=False), stats
        streams = {} if key is None else {"dropout": key}
        return module.apply(variables, inputs, train=True, rngs=streams, mutable=list(stats))  # type: ignore[return-value]

    return Model(init, apply)


def preprocessed(model: Model, transform: Callable[[PyTree, Any], Any], *, fit: Callable[[], PyTree]) -> Model:
    """The model of `transform(state, inputs)`, where `state = fit()` is made once, at initialization.

    The state stands among the model's statistics: it is saved in every checkpoint, restored with the parameters, and
    used unchanged in training and at prediction.
    """

    def init(key: PRNGKey, inputs: Any) -> tuple[PyTree, PyTree]:
        state = fit()
        params, stats = model.init(key, transform(state, inputs))
        return params, {"model": stats, "preprocessing": state}

    def apply(params: PyTree, stats: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        outputs, changed = model.apply(params, stats["model"], transform(stats["preprocessing"], inputs), **options)
        return outputs, {**stats, "model": changed}

    return Model(init, apply)
