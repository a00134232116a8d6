"""Models whose batch normalizations are folded into the products before them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen
from flax.traverse_util import flatten_dict, unflatten_dict

from fjdl.analysis.dependence import inputs_used
from fjdl.lowering.bias import add_bias
from fjdl.model import Model
from fjdl.nn.conv import Conv1D, Conv3D, ConvTranspose, DepthwiseConv
from fjdl.nn.layers import Conv, Dense
from fjdl.nn.norm import BatchNorm
from fjdl.nn.trace import path_of
from fjdl.quant.fold import fold_batch_norm
from fjdl.typing import PyTree

_PRODUCTS = (Dense, Conv, Conv1D, Conv3D, DepthwiseConv)  # their kernels have the output channels last


class Pair(NamedTuple):
    """A product and the normalization that alone sees its output."""

    product: str  # path of its parameters
    norm: str
    epsilon: float
    axis: int  # of the kernel's output channels


class Folded(NamedTuple):
    """A model without the normalizations that were folded, and what makes its parameters of those of the first."""

    model: Model
    fold: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]  # (params, stats) to (params, stats), pure
    pairs: tuple[Pair, ...]


def folded(model: Model, inputs: Any) -> Folded:
    """The model in which each `BatchNorm` that follows a product directly is part of it, as in evaluation.

    A product is a `Dense`, a convolution, depthwise or not, or a transposed convolution in one group. It is folded if
    it runs once and nothing but the normalization sees its output; other normalizations, such as those before their
    convolution, stay. `inputs` are a batch, or its shapes: nothing is computed. Outputs are equal to rounding, with the
    statistics of `stats` in training too, so that training goes on with frozen statistics.

    >>> from fjdl import nn
    >>> model, image = nn.pure(nn.ConvNorm(2)), jnp.ones((1, 4, 4, 1))
    >>> smaller, fold, pairs = folded(model, image)
    >>> params, stats = fold(*model.init(jax.random.key(0), image))
    >>> sorted(params["conv"]), sorted(params), stats
    (['bias', 'kernel'], ['conv'], {'batch_stats': {}})
    """
    pairs = _pairs(model, inputs)
    products, norms = {pair.product for pair in pairs}, {pair.norm for pair in pairs}

    def without(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        path = path_of(context.module)
        if context.method_name != "__call__" or path not in products | norms:
            return call(*args, **kwargs)
        if path in norms:
            return args[0]
        output = call(*args)  # without the normalization that training gives to a product
        bias = None if context.module.use_bias else context.module.get_variable("params", "bias")
        return output if bias is None else add_bias(output, bias)

    def fold(params: PyTree, stats: PyTree) -> tuple[PyTree, PyTree]:
        return _fold(pairs, params, stats)

    def apply(params: PyTree, stats: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        with linen.intercept_methods(without):
            return model.apply(params, stats, inputs, **options)

    return Folded(Model(lambda key, inputs: fold(*model.init(key, inputs)), apply), fold, pairs)


def _fold(pairs: tuple[Pair, ...], params: PyTree, stats: PyTree) -> tuple[PyTree, PyTree]:
    flat, moments = _flat(params), _flat(stats)
    for pair in pairs:
        of_norm = next(name for name in moments if f"/{name}".endswith(f"/batch_stats/{pair.norm}/mean"))
        kernel, bias = fold_batch_norm(
            flat[f"{pair.product}/kernel"],
            moments.pop(of_norm),
            moments.pop(of_norm.removesuffix("mean") + "var"),
            bias=flat.get(f"{pair.product}/bias"),
            scale=flat.pop(f"{pair.norm}/scale", None),
            shift=flat.pop(f"{pair.norm}/bias", None),
            epsilon=pair.epsilon,
            axis=pair.axis,
        )
        flat |= {f"{pair.product}/kernel": kernel, f"{pair.product}/bias": bias}
    return _nested(flat), {name: {} for name in stats} | _nested(moments)


def _flat(tree: PyTree) -> dict[str, Any]:
    return flatten_dict(tree, sep="/")


def _nested(flat: Mapping[str, Any]) -> PyTree:
    return unflatten_dict(dict(flat), sep="/")


class _Product(NamedTuple):
    """One that ran: its output with a probe added, and without."""

    module: Any
    probed: Any
    output: Any


def _pairs(model: Model, inputs: Any) -> tuple[Pair, ...]:
    """The products that a normalization follows, in the order in which they run.

    A probe of zero is added to the output of each product; only a normalization sees the output without it. So where
    anything depends on the probe, something else sees the output.
    """
    params, stats = jax.eval_shape(model.init, jax.random.key(0), inputs)
    runs: Counter[str] = Counter()
    made: dict[str, _Product] = {}
    found: list[tuple[str, Any]] = []  # paths of products with the normalizations behind them

    def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module, path = context.module, path_of(context.module)
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        runs[path] += 1
        if isinstance(module, BatchNorm):
            source = next((name for name, product in made.items() if product.probed is args[0]), None)
            if source is not None:
                found.append((source, module))
                args = (made[source].output, *args[1:])
        output = call(*args, **kwargs)
        if not _is_product(module):
            return output
        probed = output + probes.setdefault(path, next(fresh)).astype(output.dtype)
        made[path] = _Product(module, probed, output)
        return probed

    def run(params: PyTree, stats: PyTree, inputs: Any, zeros: Any) -> Any:
        nonlocal fresh, probes
        fresh, probes = iter(zeros), {}
        with linen.intercept_methods(watch):
            return model.apply(params, stats, inputs, train=False)[0]

    fresh: Iterator[Any] = iter(())
    probes: dict[str, Any] = {}
    zeros = [jax.ShapeDtypeStruct((), jnp.float32)] * (len(jax.tree.leaves(params)) + 1)
    program = jax.make_jaxpr(run)(params, stats, inputs, zeros)
    seen_elsewhere = dict(zip(probes, inputs_used(program.jaxpr)[-len(zeros) :], strict=False))
    norms = Counter(source for source, _ in found)
    return tuple(
        Pair(source, path_of(norm), norm.epsilon, -2 if isinstance(made[source].module, ConvTranspose) else -1)
        for source, norm in found
        if norms[source] == runs[source] == runs[path_of(norm)] == 1 and not seen_elsewhere[source]
    )


def _is_product(module: linen.Module) -> bool:
    return isinstance(module, _PRODUCTS) or (isinstance(module, ConvTranspose) and module.groups == 1)
