"""Three-dimensional convolution (cross-correlation) in NDHWC and DHWIO."""

import math
from functools import partial

import jax.numpy as jnp
from jax import lax

from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.conv.padding import continued
from fjdl.functional.windows import taps
from fjdl.geometry import Axis, ConvPadding3D, Triple, certain, check_groups, slide
from fjdl.lowering.bias import add_bias
from fjdl.numerics import widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, typed


@typed
def conv3d(
    x: Float[Array, "*batch d h w c_in"],
    kernel: Float[Array, "kd kh kw c_group c_out"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Triple = 1,
    padding: ConvPadding3D = "SAME",
    dilation: Triple = 1,
    groups: int = 1,
) -> Float[Array, "*batch d_out h_out w_out c_out"]:
    """Cross-correlation of each volume with `c_out` kernels, in the dtype of `x`, accumulated in float32.

    On a CPU it is `conv2d` of slices whose channels are those of all slices that the kernel meets there, and so holds
    `kd` copies of `x`. Options are those of `conv2d` with three axes. Equals `torch.nn.functional.conv3d` after moving
    channels last. Raises `ValueError` as `conv2d` does.
    """
    check_groups(kernel.shape, channels=x.shape[-1], groups=groups)
    x, zeros = continued(x, padding, window=kernel.shape[:3], dilation=dilation)
    depth, rows, columns = slide(
        x.shape[-4:-1], window=kernel.shape[:3], stride=stride, padding=zeros, dilation=dilation
    )
    axes = (depth, rows, columns)
    operands = (x, kernel, *([] if bias is None else [bias]))
    sliced = partial(_of_slices, axes, groups)
    if not all(map(_safe, axes)):
        return sliced(*operands)
    return by_platform(*operands, cpu=sliced, elsewhere=partial(_of_volumes, axes, groups))


def _safe(axis: Axis) -> bool:
    """Whether XLA takes the sizes and their gradient: see `fjdl.lowering.conv_everywhere.without_stride`."""
    return all(isinstance(side, int) for side in axis.padding) and (
        axis.stride == 1 or certain(lambda: axis.window <= axis.output)
    )


def _of_slices(axes: tuple[Axis, ...], groups: int, x: Array, kernel: Array, bias: Array | None = None) -> Array:
    depth, rows, columns = axes
    kd, kh, kw, within, outputs = kernel.shape
    return conv2d(
        _slices(x, depth, groups),
        jnp.moveaxis(jnp.asarray(kernel), 0, 2).reshape(kh, kw, kd * within, outputs),
        bias,
        stride=(rows.stride, columns.stride),
        padding=(rows.padding, columns.padding),
        dilation=(rows.dilation, columns.dilation),
        groups=groups,
    )


def _of_volumes(axes: tuple[Axis, ...], groups: int, x: Array, kernel: Array, bias: Array | None = None) -> Array:
    y = lax.conv_general_dilated(
        x.reshape(math.prod(x.shape[:-4]), *x.shape[-4:]),
        kernel.astype(x.dtype),
        [axis.stride for axis in axes],
        [axis.padding for axis in axes],
        rhs_dilation=[axis.dilation for axis in axes],
        dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
        feature_group_count=groups,
    )
    return add_bias(y.reshape(*x.shape[:-4], *y.shape[1:]), bias)


def _slices(x: Array, depth: Axis, groups: int) -> Array:
    """[..., d_out, h, w, groups * kd * c_group]; copied in float32, so that its transpose sums in float32."""
    *batch, _, h, w, channels = x.shape
    padded = jnp.pad(widened(x), [*[(0, 0)] * len(batch), depth.padding, (0, 0), (0, 0), (0, 0)])
    grouped = padded.reshape(*padded.shape[:-1], groups, channels // groups)
    stacked = jnp.stack(taps(grouped, depth, position=-5), axis=-2)
    return stacked.reshape(*batch, depth.output, h, w, depth.window * channels).astype(x.dtype)
