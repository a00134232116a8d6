"""Modules of Flax become pure functions here, and nowhere else."""

from collections.abc import Callable, Sequence
from typing import Any

from flax import linen

from fjdl.model import Model, evaluated, preprocessed
from fjdl.nn import trace
from fjdl.nn.recompute import recomputed
from fjdl.nn.still import stilled
from fjdl.typing import PRNGKey, PyTree


def pure(
    module: linen.Module, *, outputs: Sequence[str] = (), recompute: Sequence[str] = (), still: Sequence[str] = ()
) -> Model:
    """The module as a `Model`; its `__call__` takes the inputs and the keyword `train`.

    `outputs` are paths of parts, as in `("stage2", "stage3/block1")`: the model then returns their outputs, features of
    the inputs, as a dictionary by path, and what they do not need is not computed under `jit`.

    `recompute` are regexes of paths, as in `("stage./block.",)`: in training these parts keep their inputs alone for
    the gradient and run again for it, which takes less memory and more time.

    `still` are regexes of paths of parts that run in training as in evaluation, such as those of frozen layers: their
    running statistics are used and stay as they are, and their dropout drops nothing.
    """

    def init(key: PRNGKey, inputs: Any) -> tuple[PyTree, PyTree]:
        variables = dict(module.init({"params": key}, inputs, train=False))
        return variables.pop("params", {}), variables

    def run(variables: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        if outputs:
            return trace.outputs(module, variables, inputs, names=outputs, **options)
        mutable = options.pop("mutable", [])
        return module.apply(variables, inputs, mutable=mutable, **options)  # type: ignore[return-value]

    training = stilled(run, parts=still) if still else run
    again = recomputed(training, blocks=recompute) if recompute else training

    def apply(
        params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, key: PRNGKey | None = None
    ) -> tuple[Any, PyTree]:
        variables = {"params": params, **stats}
        if not train:
            return run(variables, inputs, train=False)[0], stats
        streams = {} if key is None else {"dropout": key}
        return again(variables, inputs, train=True, rngs=streams, mutable=list(stats))

    return Model(init, apply, lambda inputs: trace.layers(module, inputs))


def method(module: linen.Module, name: str) -> Callable[..., Any]:
    """Another method of the module as a pure function `(params, stats, ...)`, in evaluation: what the method returns.

    >>> from fjdl import nn
    >>> table = nn.Embedding(3, 2)
    >>> nn.method(table, "attend")({"embedding": jnp.ones((3, 2))}, {}, jnp.ones((1, 2)))
    Array([[2., 2., 2.]], dtype=float32)
    """

    def call(params: PyTree, stats: PyTree, *args: Any, **options: Any) -> Any:
        return module.apply({"params": params, **stats}, *args, method=name, **options)

    return call


functional = pure  # the name before 0.2

__all__ = ["Model", "evaluated", "functional", "method", "preprocessed", "pure"]
