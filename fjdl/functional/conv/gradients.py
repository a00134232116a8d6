"""The gradients of a convolution, written as convolutions themselves."""

import math

import jax.numpy as jnp
from jax import lax

from fjdl.functional.conv.conv2d import conv2d
from fjdl.geometry import Axis, Padding, Pair, check_groups, slide
from fjdl.typing import Array, Float, typed


@typed
def conv2d_input_gradient(
    y: Float[Array, "*batch h_out w_out c_out"],
    kernel: Float[Array, "kh kw c_group c_out"],
    *,
    size: tuple[int, int],
    stride: Pair = 1,
    padding: Padding = "SAME",
    dilation: Pair = 1,
    groups: int = 1,
) -> Float[Array, "*batch h w c_in"]:
    """Cotangent of `conv2d`'s input of `size`: the output's, zero-padded, convolved with the kernel rotated by 180°.

    With stride 1 and padding "VALID" the margin is `kh - 1`, all that the kernel reaches; padding of the convolution
    narrows it, a stride sets zeros between the entries of `y`, and dilation spreads the kernel as before. Equals
    `torch.nn.grad.conv2d_input` after moving channels. Raises `ValueError` for a `y` of another size than the output,
    and as `conv2d` does.
    """
    kh, kw, within, outputs = kernel.shape
    check_groups(kernel.shape, channels=within * groups, groups=groups)
    axes = slide(size, window=(kh, kw), stride=stride, padding=padding, dilation=dilation)
    _check_output(y, axes)
    rotated = jnp.asarray(kernel)[::-1, ::-1].reshape(kh, kw, within, groups, outputs // groups)
    rotated = rotated.transpose(0, 1, 4, 3, 2).reshape(kh, kw, outputs // groups, groups * within)
    margins = [
        (axis.reach - axis.padding[0], axis.size + axis.padding[0] - _span(axis), axis.stride - 1) for axis in axes
    ]
    return conv2d(_spread(y, margins), rotated, padding="VALID", dilation=dilation, groups=groups)


@typed
def conv2d_kernel_gradient(
    x: Float[Array, "*batch h w c_in"],
    y: Float[Array, "*batch h_out w_out c_out"],
    *,
    window: Pair,
    stride: Pair = 1,
    padding: Padding = "SAME",
    dilation: Pair = 1,
    groups: int = 1,
) -> Float[Array, "kh kw c_group c_out"]:
    """Cotangent of `conv2d`'s kernel of size `window` from its input and the cotangent `y`: `x` correlated with `y`.

    Channels and batch change places: a window of the size of `y` slides over the padded input, the examples are summed
    as channels are. Stride and dilation change places too. Sums are taken in float32, in the dtype of `x`. Equals
    `torch.nn.grad.conv2d_weight` after moving channels. Raises `ValueError` for a `y` of another size than the output,
    and as `conv2d` does.
    """
    axes = slide(x.shape[-3:-1], window=window, stride=stride, padding=padding, dilation=dilation)
    shape = (*(axis.window for axis in axes), x.shape[-1] // max(groups, 1), y.shape[-1])
    check_groups(shape, channels=x.shape[-1], groups=groups)
    _check_output(y, axes)
    examples = math.prod(x.shape[:-3])
    if examples == 0:
        return jnp.zeros(shape, x.dtype)
    margins = [(axis.padding[0], axis.reach + _span(axis) - axis.size - axis.padding[0], 0) for axis in axes]
    images = _spread(x, margins)
    images = images.reshape(examples, *images.shape[-3:-1], groups, shape[2]).transpose(4, 1, 2, 3, 0)
    images = images.reshape(*images.shape[:3], groups * examples)
    cotangents = jnp.asarray(y).reshape(examples, *y.shape[-3:]).transpose(1, 2, 0, 3)
    gradient = conv2d(images, cotangents, stride=dilation, padding="VALID", dilation=stride, groups=groups)
    return gradient.transpose(1, 2, 0, 3)


def _span(axis: Axis) -> int:
    """Pixels from the first position of the window to the last, both included."""
    return (axis.output - 1) * axis.stride + 1


def _check_output(y: Array, axes: tuple[Axis, ...]) -> None:
    output = tuple(axis.output for axis in axes)
    if y.shape[-3:-1] != output:
        raise ValueError(f"y must have the output's size {output}, got {y.shape[-3:-1]}")


def _spread(x: Array, margins: list[tuple[int, int, int]]) -> Array:
    """Zeros before, after and between the rows and columns of images; a negative margin cuts."""
    batch: list[tuple[int, int, int]] = [(0, 0, 0)] * (x.ndim - 3)
    return lax.pad(jnp.asarray(x), x.dtype.type(0), [*batch, *margins, (0, 0, 0)])
