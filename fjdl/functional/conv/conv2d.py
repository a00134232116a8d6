"""Two-dimensional convolution (cross-correlation) in NHWC and HWIO."""

import math

import jax.numpy as jnp

from fjdl.functional.conv.padding import continued
from fjdl.geometry import ConvPadding, Pair, check_groups
from fjdl.lowering import conv_cpu, conv_everywhere
from fjdl.lowering.bias import add_bias
from fjdl.lowering.bilinear import bilinear
from fjdl.typing import Array, Float, typed


@typed
def conv2d(
    x: Float[Array, "*batch h w c_in"],
    kernel: Float[Array, "kh kw c_group c_out"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Pair = 1,
    padding: ConvPadding = "SAME",
    dilation: Pair = 1,
    groups: int = 1,
) -> Float[Array, "*batch h_out w_out c_out"]:
    """Cross-correlation of each image with `c_out` kernels, in the dtype of `x`, accumulated in float32.

    `padding` is "VALID", "SAME" (output size ceil(h / stride), the odd pixel at the end, as TensorFlow), one number of
    pixels for every side, or `((top, bottom), (left, right))`. "CIRCULAR", "REFLECT" and "REPLICATE" add as many pixels
    as "SAME" does of stride 1, which are not 0 but those of the opposite edge, of the mirror image without the edge, or
    of the edge. The output has `floor((h + pads - dilation (kh - 1) - 1) / stride) + 1` rows. `c_group` is
    `c_in / groups`. The kernel is cast to the dtype of `x`. Equals `torch.nn.functional.conv2d` after moving channels
    last, and by name `torch.nn.Conv2d(padding="same", padding_mode=...)` and `flax.linen.Conv`. Derivatives of every
    order exist in both modes, each in a form that the platform runs fast, inside `lax.scan` too.

    Raises `ValueError` for channels that do not divide into groups, for a kernel that is empty or larger than the
    padded image, for a stride or dilation below 1, for negative padding and for more pixels than the image can give.
    """
    check_groups(kernel.shape, channels=x.shape[-1], groups=groups)
    kh, kw = kernel.shape[:2]
    x, zeros = continued(x, padding, window=(kh, kw), dilation=dilation)
    *batch, h, w, c_in = x.shape
    images = jnp.asarray(x).reshape(math.prod(batch), h, w, c_in)
    options = conv_everywhere.options_of(
        (h, w), window=(kh, kw), stride=stride, padding=zeros, dilation=dilation, groups=groups
    )
    y = _convolve(images, jnp.asarray(kernel).astype(x.dtype), options=options)
    return add_bias(y.reshape(*batch, *y.shape[1:]), bias)


_convolve = bilinear("fjdl_conv2d", conv_everywhere.RULES, platforms={"cpu": conv_cpu.MEASURED})
