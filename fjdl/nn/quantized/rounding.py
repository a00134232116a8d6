"""Kernels of a whole model, rounded on calibration data."""

from collections.abc import Iterable
from typing import Any

import jax
from flax import linen

from fjdl.functional import im2col
from fjdl.functional.conv.padding import continued
from fjdl.model import Model
from fjdl.nn.conv import DepthwiseConv
from fjdl.nn.layers import Dense
from fjdl.nn.quantized.layers import EIGHT, Rules, flat, is_layer, kernel_grid, kernel_name, layers_of, replaced
from fjdl.nn.trace import path_of
from fjdl.quant import gptq_quantize, input_moments, unfolded_inputs
from fjdl.typing import Array, Number, PyTree


def rounded_on_data(
    model: Model, params: PyTree, stats: PyTree, batches: Iterable[Any], *, rules: Rules = EIGHT, damping: Number = 0.01
) -> PyTree:
    """The parameters with kernels as `quant.Quantized`, each rounded for the inputs that its layer has: GPTQ.

    `batches` are inputs of the model, as in `apply`; each layer's inputs are those of the model without rounding. Each
    output channel has a symmetric grid up to its largest number, as in `quantized`, whose `convert` takes these
    parameters. `rules` are those of `fake_quantized`; their bits for inputs do not matter here. `damping` is that of
    `quant.gptq_quantize`. Frantar et al. 2022, arXiv:2210.17323. Raises `ValueError` as `fake_quantized` does, and for
    no batches.

    >>> from fjdl import models, nn
    >>> model, x = nn.pure(models.MLP(hidden=(3,), classes=2)), jax.numpy.ones((2, 4))
    >>> params, stats = model.init(jax.random.key(0), x)
    >>> rounded_on_data(model, params, stats, [x])["logits"]["kernel"].values.dtype
    dtype('int8')
    """
    batches = iter(batches)
    first = next(batches, None)
    if first is None:
        raise ValueError("batches must hold inputs of the model, got none")
    bits = {path: chosen.kernel for path, chosen in layers_of(model, first, rules).bits.items() if chosen.kernel}

    @jax.jit
    def add(states: dict[str, Any], params: PyTree, inputs: Any) -> dict[str, Any]:
        after = dict(states)

        def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            path = path_of(context.module)
            if is_layer(context) and path in bits:
                metric, x = _moments(context.module, args[0])
                after[path] = metric.update(after[path] if path in after else metric.init(), x)
            return call(*args, **kwargs)

        with linen.intercept_methods(watch):
            model.apply(params, stats, inputs, train=False)
        return after

    states = add({}, params, first)
    for inputs in batches:
        states = add(states, params, inputs)
    named = flat(params)
    kernels = {}
    for path, count in bits.items():
        kernel, state = named[kernel_name(path)], states[path]
        moments, grid = state.total / state.weight, kernel_grid(kernel, bits=count)
        kernels[kernel_name(path)] = gptq_quantize(kernel, moments, grid, damping=damping)
    return replaced(params, kernels)


def _moments(layer: Any, x: Array) -> tuple[Any, Array]:
    """The metric of a layer's inputs, and these, in the order of its kernel's rows."""
    if isinstance(layer, Dense):
        return input_moments(channels=x.shape[-1]), x
    kernel = layer.get_variable("params", "kernel")
    groups = x.shape[-1] if isinstance(layer, DepthwiseConv) else layer.groups
    padding: Any
    x, padding = continued(x, layer.padding, window=kernel.shape[:2], dilation=layer.dilation)
    columns = im2col(x, window=kernel.shape[:2], stride=layer.stride, padding=padding, dilation=layer.dilation)
    if groups == 1:
        return input_moments(channels=columns.shape[-1]), columns
    met = unfolded_inputs(columns, channels=x.shape[-1], groups=groups)
    return input_moments(channels=met.shape[-1], groups=groups), met
