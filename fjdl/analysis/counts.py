"""Output shapes, parameters and operations of layers, by formula: no model is built or run.

Shapes are those of one example, channels last. One multiply-accumulate (MAC) is two floating-point operations; the
additions of biases are left out, as in the tables of the literature. A pool is counted as window² operations for each
output and is no MAC.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fjdl.typing import typed

Volume = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What one layer costs for one example."""

    name: str
    output: tuple[int, ...]  # shape without the batch axis
    parameters: int = 0
    macs: int = 0
    pool_operations: int = 0

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each MAC, one for each entry that a pool reads."""
        return 2 * self.macs + self.pool_operations


@typed
def conv_output_size(size: int, *, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Positions of a window along one axis: ⌊(size + 2 padding − kernel) / stride⌋ + 1.

    Raises `ValueError` for sizes that make no sense and where the window is longer than the padded axis.
    """
    if min(size, kernel, stride) < 1 or padding < 0:
        raise ValueError(
            "size, kernel and stride must be positive and padding not negative, "
            f"got size={size}, kernel={kernel}, stride={stride}, padding={padding}"
        )
    if kernel > size + 2 * padding:
        raise ValueError(f"kernel must fit into size + 2 padding, got kernel={kernel}, size={size}, padding={padding}")
    return (size + 2 * padding - kernel) // stride + 1


@typed
def conv_layer(
    shape: Volume, *, features: int, kernel: int, stride: int = 1, padding: int = 0, name: str = "conv"
) -> Layer:
    """A convolution with bias: features · (kernel² channels + 1) parameters, kernel² channels MACs for each output."""
    height, width, channels = shape
    output = (*_windows(height, width, kernel, stride, padding), features)
    weights = kernel * kernel * channels
    return Layer(name=name, output=output, parameters=features * (weights + 1), macs=math.prod(output) * weights)


@typed
def pool_layer(shape: Volume, *, window: int, stride: int | None = None, padding: int = 0, name: str = "pool") -> Layer:
    """A pool of any kind: no parameters, window² operations for each output; the stride defaults to the window."""
    height, width, channels = shape
    output = (*_windows(height, width, window, window if stride is None else stride, padding), channels)
    return Layer(name=name, output=output, pool_operations=math.prod(output) * window * window)


@typed
def flatten_layer(shape: tuple[int, ...], *, name: str = "flatten") -> Layer:
    """All entries in one axis, at no cost."""
    return Layer(name=name, output=(math.prod(shape),))


@typed
def dense_layer(shape: tuple[int], *, features: int, name: str = "dense") -> Layer:
    """A fully connected layer with bias: features · (inputs + 1) parameters, features · inputs MACs.

    Raises `ValueError` for fewer than one feature.
    """
    if features < 1:
        raise ValueError(f"features must be at least 1, got {features}")
    (inputs,) = shape
    return Layer(name=name, output=(features,), parameters=features * (inputs + 1), macs=features * inputs)


@typed
def stack(shape: tuple[int, ...], builders: Iterable[Callable[..., Layer]]) -> list[Layer]:
    """The layers of a network, each builder given the output shape of the layer before.

    Bind the options of a builder first: `functools.partial(dense_layer, features=10)`.
    """
    layers: list[Layer] = []
    for build in builders:
        layers.append(build(layers[-1].output if layers else shape))
    return layers


@typed
def total(layers: Sequence[Layer]) -> Layer:
    """The sum over all layers, with the output of the last; raises `ValueError` where there is none."""
    if not layers:
        raise ValueError("layers must not be empty, got 0 layers")
    return Layer(
        name="total",
        output=layers[-1].output,
        parameters=sum(layer.parameters for layer in layers),
        macs=sum(layer.macs for layer in layers),
        pool_operations=sum(layer.pool_operations for layer in layers),
    )


@typed
def format_table(layers: Sequence[Layer]) -> str:
    """A text table with one line for each layer and one for the total.

    Its columns: output volume, parameters, MACs, pool operations, FLOPs (2 MACs + pool operations).
    """
    header = ("layer", "output", "parameters", "MACs", "pool ops", "FLOPs")
    rows = [header, *(_row(layer) for layer in [*layers, total(layers)])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_aligned(row, widths)).rstrip() for row in rows)


def _windows(height: int, width: int, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    return (
        conv_output_size(height, kernel=kernel, stride=stride, padding=padding),
        conv_output_size(width, kernel=kernel, stride=stride, padding=padding),
    )


def _row(layer: Layer) -> tuple[str, ...]:
    counts = (layer.parameters, layer.macs, layer.pool_operations, layer.flops)
    return layer.name, "×".join(map(str, layer.output)), *(f"{count:,}" for count in counts)


def _aligned(row: tuple[str, ...], widths: list[int]) -> list[str]:
    """Names to the left, numbers to the right."""
    return [cell.ljust(w) if i < 2 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
