"""Which layers of a model are quantized, and to how many bits."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from flax import linen
from flax.traverse_util import flatten_dict, unflatten_dict

from fjdl import tree
from fjdl.checks import within
from fjdl.model import Model
from fjdl.nn.conv import DepthwiseConv
from fjdl.nn.layers import Conv, Dense
from fjdl.nn.trace import path_of
from fjdl.quant.affine import grid_up_to_largest
from fjdl.quant.blocks import block_shape
from fjdl.quant.grid import Grid
from fjdl.typing import Array, PyTree

CARRIED_BITS = 8  # of outputs
LAYERS = (Dense, Conv, DepthwiseConv)


class Bits(NamedTuple):
    """The bits of a layer's kernel and of its inputs, each from 2 to 8, or None where they stay floats."""

    kernel: int | None = 8
    inputs: int | None = 8


Rules = Sequence[tuple[str, Bits]]
EIGHT: Rules = ((".*", Bits()),)


class Layers(NamedTuple):
    """The dense and convolutional layers of a model, in the order in which they run, and its carried outputs."""

    bits: dict[str, Bits]  # by path
    outputs: tuple[str, ...]  # paths of modules whose outputs are carried as integers
    source: dict[str, str]  # of a layer whose inputs of 8 bits are such an output, the path of that module
    largest: int  # entries of the largest output of a layer for one example
    apart: bool  # whether inputs and outputs have an axis of examples, outermost


def layers_of(model: Model, inputs: Any, rules: Rules, outputs: Sequence[str] = ()) -> Layers:
    """The layers, and their bits by the first rule `(regex, bits)` that matches a layer's whole path; computes nothing.

    `outputs` are regexes of whole paths of modules. Raises `ValueError` for layers that no rule covers, rules that
    match none, bits outside [2, 8], and a model without such layers or whose parameters do not stand under their paths,
    such as an ensemble.
    """
    for _, bits in rules:
        within("[2, 8]", kernel=bits.kernel, inputs=bits.inputs)
    params, stats = jax.eval_shape(model.init, jax.random.key(0), inputs)
    sizes: dict[str, int] = {}
    source: dict[str, str] = {}
    carried = Carried()

    def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output, path = call(*args, **kwargs), path_of(context.module)
        if is_layer(context):
            sizes[path] = output.size
            if (found := carried.of(args[0])) is not None:
                source[path] = found
        named = context.method_name == "__call__" and any(re.fullmatch(rule, path) for rule in outputs)
        if named and isinstance(output, jax.Array) and carried.of(output) is None:
            carried.add(output, path)
        return output

    with linen.intercept_methods(watch):
        results = jax.eval_shape(lambda *args: model.apply(*args, train=False)[0], params, stats, inputs)
    names = carried.values()
    unknown = [rule for rule in outputs if not any(re.fullmatch(rule, name) for name in names)]
    if unknown:
        raise ValueError(f"outputs must name modules that give one array, but none matches {unknown[0]!r}")
    missing = [path for path in sizes if kernel_name(path) not in flat(params)]
    if missing or not sizes:
        lacking = f"parameters under their paths, but {missing} have none" if missing else "a dense or conv layer"
        raise ValueError(f"a model that is quantized must have {lacking}")
    chosen = flat(tree.select(unflatten_dict({path: path for path in sizes}, sep="/"), rules))
    lengths = {leaf.shape[:1] for leaf in jax.tree.leaves((inputs, results))}
    examples = max((length for shape in lengths for length in shape), default=1)
    return Layers(
        {path: chosen[path] for path in sizes},
        tuple(names),
        {path: found for path, found in source.items() if chosen[path].inputs == CARRIED_BITS},
        max(sizes.values()) // max(examples, 1),
        lengths == {(examples,)},
    )


class Carried:
    """What is known of arrays that modules have given, found again by the array itself as a layer receives it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any]] = {}

    def add(self, array: Array, value: Any) -> None:
        """Keeps what is known of the array."""
        self._known[id(array)] = array, value  # the array is kept, so that no other one gets its id

    def of(self, array: Any) -> Any:
        """What is known of this very array, or None."""
        return self._known.get(id(array), (None, None))[1]

    def values(self) -> list[Any]:
        """What is known of all arrays, in the order in which they came."""
        return [value for _, value in self._known.values()]


def is_output(context: Any, outputs: Sequence[str]) -> bool:
    """Whether the call is that of a module whose outputs are carried as integers."""
    return context.method_name == "__call__" and path_of(context.module) in outputs


def is_layer(context: Any) -> bool:
    """Whether the call of a method is that of a layer that can be quantized."""
    return isinstance(context.module, LAYERS) and context.method_name == "__call__"


def kernel_name(path: str) -> str:
    """The name of a layer's kernel among all parameters."""
    return f"{path}/kernel" if path else "kernel"


def kernel_grid(kernel: Array, *, bits: int) -> Grid:
    """The symmetric grid of each output channel, up to its largest number."""
    return grid_up_to_largest(kernel, block_shape(kernel.shape, axis=-1), bits=bits)


def flat(tree: PyTree) -> dict[str, Any]:
    """The leaves of nested dictionaries by their names."""
    return dict(flatten_dict(tree, sep="/"))


def replaced(params: PyTree, leaves: dict[str, Any]) -> PyTree:
    """The parameters with other leaves under these names."""
    return unflatten_dict(flat(params) | leaves, sep="/")
