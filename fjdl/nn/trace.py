"""What a module is made of: the costs of its layers, and the outputs of its parts."""

import contextlib
import dataclasses
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
from flax import linen

from fjdl import tree
from fjdl.analysis import Layer
from fjdl.typing import PyTree

Result = TypeVar("Result")


def layers(module: linen.Module, inputs: Any) -> tuple[Layer, ...]:
    """One row for each layer, in the order of execution, by formula: `inputs` is a batch, or its shape and dtype.

    A layer is a module with a method `cost(shape)` that returns its cost for one example of that shape, as all of
    `fjdl.nn` have that own parameters or pool; where it has another method to call, such as `attend`, `attend_cost` is
    the cost of that. A cost of several shapes gets those of as many inputs. The name of a layer is its path in the
    module; what runs inside of it has no rows. A layer that runs again shares its parameters with the first time. Of
    several outputs the first counts. Raises `ValueError` for parameters that belong to no layer with a cost, and for a
    cost whose output is not that of the layer.
    """
    rows: dict[str, Layer] = {}
    running: list[str] = []

    def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        cost = getattr(context.module, _cost_of(context.method_name), None)
        if running or cost is None:
            return call(*args, **kwargs)
        path = path_of(context.module)
        running.append(path)
        try:
            outputs = call(*args, **kwargs)
            row, output = dataclasses.replace(cost(*_shapes(cost, args)), name=path), _first(outputs).shape[1:]
        finally:
            running.pop()
        if row.output != output:
            raise ValueError(f"the cost of {path!r} must have the output {output}, got {row.output}")
        repeat = sum(name == path or name.startswith(path + " (") for name in rows)
        again = dataclasses.replace(row, name=f"{path} ({repeat + 1})", parameters=0) if repeat else row
        rows[again.name] = again
        return outputs

    def initialize(inputs: Any) -> Any:
        return module.init(jax.random.key(0), inputs, train=False).get("params", {})

    with linen.intercept_methods(watch):
        params = jax.eval_shape(initialize, inputs)
    _require_costs(params, rows)
    return tuple(rows.values())


def outputs(module: linen.Module, variables: PyTree, *args: Any, names: Sequence[str], **kwargs: Any) -> Any:
    """`module.apply` that returns the outputs of the named parts, a dictionary by their paths, and the changed state.

    Raises `ValueError` for a name that no part has that ran.
    """

    def chosen(part: linen.Module, method: str) -> bool:
        return method == "__call__" and path_of(part) in names

    mutable = [*kwargs.pop("mutable", ()), "intermediates"]
    _, changed = module.apply(variables, *args, capture_intermediates=chosen, mutable=mutable, **kwargs)
    found = _by_path(dict(changed).pop("intermediates", {}))
    return _chosen(found, names), {k: v for k, v in changed.items() if k != "intermediates"}


class _Enough(Exception):
    """Ends a network whose features are complete."""


def features(network: linen.Module, *args: Any, names: Sequence[str], **kwargs: Any) -> dict[str, Any]:
    """The outputs of the named parts of `network(*args, **kwargs)`, by their paths in it, for use in another module.

    The network runs until the last of them is there: what comes later, such as its head, neither runs nor has
    parameters. Of a part that runs more than once the first output counts. Raises `ValueError` for no names, and for
    one that no part has that ran.

    >>> from flax import linen
    >>> from fjdl import models, nn
    >>> class Pyramid(linen.Module):
    ...     @linen.compact
    ...     def __call__(self, x, *, train=False):
    ...         backbone = models.resnet18(name="backbone")
    ...         return nn.features(backbone, x, names=("stage2", "stage3"), train=train)
    >>> params, _ = jax.eval_shape(nn.pure(Pyramid()).init, jax.random.key(0), jnp.ones((1, 64, 64, 3)))
    >>> sorted(params["backbone"])
    ['stage1', 'stage2', 'stage3', 'stem']
    """
    if not names:
        raise ValueError("names must hold a path of a part such as stage1/block1, got none")
    found: dict[str, Any] = {}

    def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if len(found) == len(set(names)):
            raise _Enough
        result, path = call(*args, **kwargs), context.module.path
        name = "/".join(path[len(network.path) :])
        if context.method_name == "__call__" and path[: len(network.path)] == network.path and name in names:
            found.setdefault(name, result)
        return result

    with linen.intercept_methods(watch), contextlib.suppress(_Enough):
        network(*args, **kwargs)
    return _chosen(found, names)


def observed(
    function: Callable[..., Result], *, names: Sequence[str] = ()
) -> Callable[..., tuple[Result, dict[str, Any]]]:
    """The function, which runs modules, with what the named parts of these give: `(result, {name: output})`.

    It takes the arguments of `function`, such as `Model.apply`, and the keyword `replaced`, a dictionary of outputs by
    name that stand in the place of the parts' own; derivatives by them are those of what comes behind. A name is the
    path of a part in its module; the second of a path has " (2)" behind it, as in an ensemble or where a layer runs
    again. What is not needed is not computed under `jit`. Raises `ValueError` for a name that no part has that ran.

    >>> from fjdl import nn
    >>> model = nn.pure(nn.ConvNorm(2, window=1))
    >>> params, stats = model.init(jax.random.key(0), jnp.ones((1, 2, 2, 1)))
    >>> _, found = observed(model.apply, names=["conv"])(params, stats, jnp.ones((1, 2, 2, 1)))
    >>> found["conv"].shape
    (1, 2, 2, 2)
    """

    def call(*args: Any, replaced: Mapping[str, Any] | None = None, **options: Any) -> tuple[Result, dict[str, Any]]:
        found: dict[str, Any] = {}
        ran: list[str] = []
        chosen = replaced or {}

        def watch(name: str, output: Any) -> Any:
            ran.append(name)
            output = chosen.get(name, output)
            if name in names:
                found[name] = output
            return output

        with _watching(watch):
            result = function(*args, **options)
        missing = [name for name in (*names, *chosen) if name not in ran]
        if missing:
            raise ValueError(f"names must be among the parts {', '.join(ran)}, got {missing[0]!r}")
        return result, {name: found[name] for name in names}

    return call


def parts(function: Callable[..., Any], *args: Any, **options: Any) -> dict[str, Any]:
    """Shape and dtype of what each part of the modules gives that `function(*args)` runs, in order, by name.

    Names are those of `observed`; a module alone has none. Nothing is computed.
    """
    found: dict[str, Any] = {}

    def watch(name: str, output: Any) -> Any:
        found[name] = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), output)
        return output

    with _watching(watch):
        jax.eval_shape(lambda *args: function(*args, **options), *args)
    return found


def _watching(watch: Callable[[str, Any], Any]) -> contextlib.AbstractContextManager[Any]:
    """Inside, the output of each part of a module is what `watch` makes of its name and its output."""
    times: Counter[str] = Counter()

    def through(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = call(*args, **kwargs)
        path = path_of(context.module)
        if context.method_name != "__call__" or not path:
            return output
        times[path] += 1
        return watch(path if times[path] == 1 else f"{path} ({times[path]})", output)

    return linen.intercept_methods(through)


def path_of(module: linen.Module) -> str:
    """The path of a part in its module, such as stage1/block0."""
    return "/".join(module.path)


def _cost_of(method: str) -> str:
    return "cost" if method == "__call__" else f"{method}_cost"


def _shapes(cost: Any, args: Any) -> list[tuple[int, ...]]:
    """For one example, of as many of the arrays that a layer is called with as its cost asks for."""
    most = len(inspect.signature(cost).parameters)
    return [leaf.shape[1:] for leaf in jax.tree.leaves(args)[:most]]


def _first(outputs: Any) -> Any:
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _chosen(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What was found of the parts, in the order of their names."""
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"names must be paths of parts such as stage1/block1, but no part is called {missing[0]}")
    return {name: found[name] for name in names}


def _by_path(captured: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """The last output of each part."""
    found: dict[str, Any] = {}
    for name, value in captured.items():
        if name == "__call__":
            found["/".join(path)] = value[-1]
        elif isinstance(value, Mapping):  # others are what a module sows
            found |= _by_path(value, (*path, name))
    return found


def _require_costs(params: PyTree, rows: dict[str, Layer]) -> None:
    homes = {name.rpartition("/")[0] for name in tree.names(params)}
    unknown = sorted(home for home in homes if not any(not row or f"{home}/".startswith(f"{row}/") for row in rows))
    if unknown:
        raise ValueError(
            f"every layer with parameters must have a method cost(shape) that gives its row, {unknown[0]!r} has none"
        )
