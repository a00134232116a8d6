"""Models whose layers multiply integers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import linen

from fjdl.explicit import explicit_mesh
from fjdl.lowering.cpu.chunks import mapped_together
from fjdl.measured import measured
from fjdl.model import Model
from fjdl.nn.conv import DepthwiseConv
from fjdl.nn.layers import Dense
from fjdl.nn.quantized.fake import input_bits, input_grid, output_name
from fjdl.nn.quantized.layers import (
    EIGHT,
    Bits,
    Carried,
    Rules,
    flat,
    is_layer,
    is_output,
    kernel_name,
    layers_of,
    replaced,
)
from fjdl.nn.trace import path_of
from fjdl.platforms import by_platform
from fjdl.quant import Quantized, absmax_quantize, dequantize, products, quantize, quantize_examples, quantize_rows
from fjdl.quant.ranges import Calibrator, moving_average
from fjdl.typing import Array, PyTree

# Entries of the largest output of a layer for the examples that a CPU takes through the network together: then what a
# layer gives stays in the cache until the next one rounds it. A CNN of six convolutions with 128 images of 32 x 32
# takes 54 ms in place of 153 (2 cores, Xeon with AMX, jaxlib 0.10.2).
TOGETHER = measured({"0.10.2": 2**20, "0.12.0": 2**20})


class Integers(NamedTuple):
    """A model of integers, and what makes its parameters of those of the model that was trained."""

    model: Model
    convert: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]  # (params, stats) to (params, stats)


def quantized(
    model: Model,
    inputs: Any,
    *,
    rules: Rules = EIGHT,
    outputs: Sequence[str] = (),
    calibrator: Calibrator | None = None,
    dynamic: bool = False,
) -> Integers:
    """The model whose dense and convolutional layers have kernels of integers and, where rules say so, inputs of them.

    `convert` takes the parameters and statistics of `fake_quantized(model, inputs, rules=rules)`, made with the same
    `outputs` and `calibrator`, after training or after its steps have found the ranges; what the model of integers
    gives is then what that one gives in evaluation, up to the rounding of sums in float32, since sums of integers are
    exact. With `dynamic` ranges, each vector of a dense layer's inputs and each image of a convolution has its own, and
    `convert` takes the parameters and statistics of `model` itself too; so it does where no layer has bits for its
    inputs (weight-only quantization). The kernels become `quant.Quantized`, one scale for each output channel, or stay
    what they are where `rounded_on_data` made them so; the rest stays as it is.

    In evaluation a CPU takes a few examples at a time through the network, which no example of a batch must depend on
    another one for. The model has no gradient by what was rounded. Raises `ValueError` as `fake_quantized` does, and
    for `outputs` with `dynamic` ranges.

    >>> from fjdl import models, nn, quant
    >>> model, x = nn.pure(models.MLP(hidden=(3,), classes=2)), jax.numpy.ones((2, 4))
    >>> small, convert = quantized(model, x, dynamic=True)
    >>> params, stats = convert(*model.init(jax.random.key(0), x))
    >>> params["logits"]["kernel"].values.dtype, small.apply(params, stats, x)[0].shape
    (dtype('int8'), (2, 2))
    """
    if dynamic and outputs:
        raise ValueError("outputs must be empty with dynamic ranges, which layers have and outputs have not")
    layers, found_by = layers_of(model, inputs, rules, outputs), calibrator or moving_average()
    chosen, static = layers.bits, {} if dynamic else input_bits(layers)

    def convert(params: PyTree, stats: PyTree) -> tuple[PyTree, PyTree]:
        named = flat(params)
        wanted = {kernel_name(path): bits.kernel for path, bits in chosen.items() if bits.kernel}
        kernels = {name: _small(named[name], bits=bits) for name, bits in wanted.items()}
        grids = {path: input_grid(found_by, stats["ranges"][path], bits=bits) for path, bits in static.items()}
        kept = stats["model"] if "ranges" in stats else stats
        whole = [path for path, bits in chosen.items() if bits.kernel and (path in grids or path in layers.source)]
        sums = {path: products.kernel_sums(kernels[kernel_name(path)]) for path in whole}
        return replaced(params, kernels), {"model": kept, "grids": grids, "sums": sums}

    def whole(params: PyTree, stats: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        carried, grids = Carried(), stats["grids"]

        def multiplied(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            path, layer, x = path_of(context.module), context.module, args[0]
            bits, given = chosen[path], path in layers.source
            factor = carried.of(x) if given else _as_integers(layer, x, bits, grids.get(path))
            if bits.kernel is None:
                return call(x if factor is x else dequantize(factor, dtype=x.dtype), *args[1:], **kwargs)
            return _product(layer, factor, stats["sums"].get(path), dtype=x.dtype)

        def run(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            output = multiplied(call, args, kwargs, context) if is_layer(context) else call(*args, **kwargs)
            if not is_output(context, layers.outputs):
                return output
            small = quantize(output, grids[output_name(path_of(context.module))])
            carried.add(output := dequantize(small, dtype=output.dtype), small)
            return output

        with linen.intercept_methods(run):
            outputs, changed = model.apply(params, stats["model"], inputs, **options)
        return outputs, {**stats, "model": changed}

    def apply(params: PyTree, stats: PyTree, inputs: Any, **options: Any) -> tuple[Any, PyTree]:
        sharded = explicit_mesh(jax.tree.leaves(inputs)) is not None  # its examples are on devices already
        if sharded or not layers.apart or options.get("train") or options.get("key") is not None:
            return whole(params, stats, inputs, **options)

        def evaluate(params: PyTree, stats: PyTree, inputs: Any) -> Any:
            return whole(params, stats, inputs, **options)[0]

        def by_parts(params: PyTree, stats: PyTree, inputs: Any) -> Any:
            most = max(1, TOGETHER // max(layers.largest, 1))
            return mapped_together(partial(evaluate, params, stats), [inputs], most=most)

        outputs = by_platform(params, stats, inputs, elsewhere=evaluate, cpu=by_parts)
        return outputs, stats

    def init(key: Any, inputs: Any) -> tuple[PyTree, PyTree]:
        params, stats = model.init(key, inputs)
        ranges = {path: found_by.update(found_by.init(), jax.numpy.ones(1)) for path in static}
        return convert(params, {"model": stats, "ranges": ranges} if static else stats)

    return Integers(Model(init, apply), convert)


def _small(kernel: Any, *, bits: int) -> Quantized:
    """The kernel in integers, which it may be already."""
    return kernel if isinstance(kernel, Quantized) else absmax_quantize(kernel, bits=bits, axis=-1)


def _as_integers(layer: Any, x: Array, bits: Bits, grid: Any) -> Any:
    """The inputs as the layer multiplies them: on their grid, on grids of their own, or as they are."""
    if bits.inputs is None:
        return x
    if grid is not None:
        return quantize(x, grid)
    return quantize_rows(x, bits=bits.inputs) if isinstance(layer, Dense) else quantize_examples(x, bits=bits.inputs)


def _product(layer: Any, x: Any, sums: Array | None, *, dtype: Any) -> Any:
    kernel, bias = layer.get_variable("params", "kernel"), layer.get_variable("params", "bias")
    if isinstance(layer, Dense):
        return products.linear(x, kernel, bias, sums=sums, dtype=dtype)
    groups = x.shape[-1] if isinstance(layer, DepthwiseConv) else layer.groups
    window = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation}
    return products.conv2d(x, kernel, bias, **window, groups=groups, sums=sums, dtype=dtype)
