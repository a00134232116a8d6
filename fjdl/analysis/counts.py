"""Output shapes, parameters and operations of layers, by formula: no model is built or run.

Shapes are those of one example, channels last. One multiply-accumulate (MAC) is two floating-point operations; the
additions of biases are left out, as in the tables of the literature. A pool is counted as window² operations for each
output and is no MAC.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fjdl.checks import at_least
from fjdl.geometry import AnyPadding, Padding, Pair, slide
from fjdl.typing import typed


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

    >>> conv_output_size(32, kernel=3, stride=2, padding=1)
    16
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
    shape: tuple[int, ...],
    *,
    features: int,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    padding: AnyPadding = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    bias: bool = True,
    name: str = "conv",
) -> Layer:
    """A convolution: kernel² channels / groups MACs for each output, and as many weights (and a bias) for each feature.

    The shape is `(rows, columns, channels)`, or has another number of spatial axes. Raises `ValueError` where the
    groups do not divide channels and features, and where the window does not fit.

    >>> conv_layer((28, 28, 1), features=6, kernel=5)
    Layer(name='conv', output=(24, 24, 6), parameters=156, macs=86400, pool_operations=0)
    """
    *size, channels = shape
    if channels % groups or features % groups:
        raise ValueError(
            f"groups must divide channels and features, got {groups} groups of {channels} channels, {features} features"
        )
    axes = slide(tuple(size), window=kernel, stride=stride, padding=padding, dilation=dilation)
    output = (*(axis.output for axis in axes), features)
    weights = math.prod(axis.window for axis in axes) * (channels // groups)
    return Layer(name=name, output=output, parameters=features * (weights + bias), macs=math.prod(output) * weights)


@typed
def pool_layer(
    shape: tuple[int, ...],
    *,
    window: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    name: str = "pool",
) -> Layer:
    """A pool of any kind: no parameters, window² operations for each output; the stride defaults to the window.

    With `ceil_mode` a last window that sticks out of the image counts too, unless it starts behind the image.

    >>> pool_layer((4, 4, 3), window=2).output
    (2, 2, 3)
    """
    *size, channels = shape
    step = window if stride is None else stride
    axes = slide(tuple(size), window=window, stride=step, padding=padding, ceil_mode=ceil_mode)
    output = (*(axis.output for axis in axes), channels)
    taps = math.prod(axis.window for axis in axes)
    return Layer(name=name, output=output, pool_operations=math.prod(output) * taps)


@typed
def global_pool_layer(shape: tuple[int, ...], *, name: str = "pool") -> Layer:
    """One number for each channel, from all positions.

    >>> global_pool_layer((4, 4, 3)).output
    (3,)
    """
    return Layer(name=name, output=shape[-1:], pool_operations=math.prod(shape))


@typed
def norm_layer(shape: tuple[int, ...], *, scale: bool = True, bias: bool = True, name: str = "norm") -> Layer:
    """A normalization: a scale and a bias for each channel; its arithmetic is left out, as in the literature.

    >>> norm_layer((4, 4, 3)).parameters
    6
    """
    return Layer(name=name, output=shape, parameters=shape[-1] * (scale + bias))


@typed
def flatten_layer(shape: tuple[int, ...], *, name: str = "flatten") -> Layer:
    """All entries in one axis, at no cost.

    >>> flatten_layer((4, 4, 3)).output
    (48,)
    """
    return Layer(name=name, output=(math.prod(shape),))


@typed
def dense_layer(shape: tuple[int, ...], *, features: int, bias: bool = True, name: str = "dense") -> Layer:
    """An affine map of the last axis: features · (inputs + 1) parameters, features · inputs MACs at each position.

    Raises `ValueError` for fewer than one feature.

    >>> dense_layer((3,), features=2)
    Layer(name='dense', output=(2,), parameters=8, macs=6, pool_operations=0)
    """
    at_least(1, features=features)
    output = (*shape[:-1], features)
    return Layer(name=name, output=output, parameters=features * (shape[-1] + bias), macs=math.prod(output) * shape[-1])


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
