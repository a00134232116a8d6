"""Networks whose kernels and inputs are rounded while they train, so that they learn to be quantized."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from fjdl.checks import at_least, known
from fjdl.model import Model
from fjdl.nn.quantized.layers import (
    CARRIED_BITS,
    EIGHT,
    Bits,
    Layers,
    Rules,
    flat,
    is_layer,
    is_output,
    kernel_grid,
    kernel_name,
    layers_of,
    replaced,
)
from fjdl.nn.trace import path_of
from fjdl.quant.fake import fake_quantize
from fjdl.quant.grid import Grid, affine_grid
from fjdl.quant.ranges import Calibrator, moving_average
from fjdl.typing import Array, PyTree


def fake_quantized(
    model: Model,
    inputs: Any,
    *,
    rules: Rules = EIGHT,
    outputs: Sequence[str] = (),
    calibrator: Calibrator | None = None,
    start: int = 0,
) -> Model:
    r"""The model for quantization-aware training: kernels and inputs of layers are rounded as integers round them.

    Each output channel of a kernel has a symmetric grid up to its largest number. The inputs of a layer have an affine
    grid over the range that `calibrator` finds, by default a moving average of the extremes of batches; training moves
    it, evaluation uses it. Gradients are those of `quant.fake_quantize`, and none goes through the grids. Rounding
    begins after `start` steps, when the ranges have settled. Parameters are those of `model`; the statistics are a
    dictionary of its own, "model", with "ranges" and "steps".

    `outputs` are regexes of paths of modules whose outputs are rounded as well, to 8 bits, and go on so: the blocks of
    a residual network, `(r"stage\d+/block\d+(/shortcut)?",)`, add bytes to bytes then. A layer that receives such an
    output takes it as it is, on the output's grid.

    `rules` are pairs of a regex of a layer's path and its `Bits`, such as `(("stem|logits", Bits(8, 8)), (".*",
    Bits(4, 8)))`. `inputs` are a batch, or its shapes. For frozen batch statistics wrap `folded(model, inputs).model`
    or `evaluated(model)`; with the latter, training steps whose gradients nobody uses find the ranges of a trained
    model. Jacob et al. 2018, arXiv:1712.05877, section 3. Raises `ValueError` as `layers_of` does.
    """
    at_least(0, start=start)
    layers, found_by = layers_of(model, inputs, rules, outputs), calibrator or moving_average()
    chosen, wanted = layers.bits, input_bits(layers)

    def init(key: Any, inputs: Any) -> tuple[PyTree, PyTree]:
        params, stats = model.init(key, inputs)
        ranges = {path: found_by.init() for path in wanted}
        return params, {"model": stats, "ranges": ranges, "steps": jnp.zeros((), jnp.int32)}

    def apply(
        params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, key: Any = None
    ) -> tuple[Any, PyTree]:
        steps, ranges = stats["steps"] + int(train), dict(stats["ranges"])
        on = steps > start

        def rounded_by(name: str, x: Array) -> Array:
            if train:
                ranges[name] = found_by.update(ranges[name], jax.lax.stop_gradient(x))
            return _if(on, lambda: input_grid(found_by, ranges[name], bits=wanted[name]), x)

        def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            path = path_of(context.module)
            if is_layer(context) and path in wanted:
                args = (rounded_by(path, args[0]), *args[1:])
            output = call(*args, **kwargs)
            return rounded_by(output_name(path), output) if is_output(context, layers.outputs) else output

        with linen.intercept_methods(watch):
            rounded = _with_rounded_kernels(params, chosen, on=on)
            outputs, changed = model.apply(rounded, stats["model"], inputs, train=train, key=key)
        return outputs, {"model": changed, "ranges": ranges, "steps": steps}

    return Model(init, apply, model.layers)


def input_bits(layers: Layers) -> dict[str, int]:
    """The bits of all that has a range: of inputs by the path of their layer, and of carried outputs."""
    own = {path: bits.inputs for path, bits in layers.bits.items() if bits.inputs and path not in layers.source}
    return own | {output_name(path): CARRIED_BITS for path in layers.outputs}


def output_name(path: str) -> str:
    """The name of the range of a module's outputs, which no layer has."""
    return f"{path} outputs"


def input_grid(calibrator: Calibrator, state: Any, *, bits: int) -> Grid:
    """The affine grid over the range that a calibrator found."""
    return affine_grid(*calibrator.compute(state), bits=bits)


def _with_rounded_kernels(params: PyTree, chosen: dict[str, Bits], *, on: Array) -> PyTree:
    named, kernels = flat(params), {}
    for name, bits in ((kernel_name(path), bits.kernel) for path, bits in chosen.items()):
        if bits:
            kernels[name] = _if(on, partial(kernel_grid, named[name], bits=bits), named[name])
    return replaced(params, kernels)


def _if(on: Array, make_grid: Callable[[], Grid], x: Array) -> Array:
    """`x` on the grid where rounding has begun."""
    if known(on) is not None and not bool(known(on)):
        return x
    grid = jax.tree.map(lambda part: jnp.where(on, jax.lax.stop_gradient(part), 1.0), make_grid())
    return jnp.where(on, fake_quantize(x, grid), x)
