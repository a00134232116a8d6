"""One-dimensional convolution (cross-correlation) of sequences."""

import jax.numpy as jnp

from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.conv.padding import continued
from fjdl.geometry import ConvPadding1D, Single, check_groups, slide
from fjdl.typing import Array, Float, typed


@typed
def conv1d(
    x: Float[Array, "*batch t c_in"],
    kernel: Float[Array, "k c_group c_out"],
    bias: Float[Array, "c_out"] | None = None,
    *,
    stride: Single = 1,
    padding: ConvPadding1D = "SAME",
    dilation: Single = 1,
    groups: int = 1,
) -> Float[Array, "*batch t_out c_out"]:
    """Cross-correlation of each sequence with `c_out` kernels: `conv2d` of images of one row.

    `padding` is "VALID", "SAME", "CIRCULAR", "REFLECT" or "REPLICATE" as there, one number of steps for both ends, or
    `((before, after),)`. "CAUSAL" is `((dilation (k - 1), 0),)`: no output sees a later input, as in
    `flax.linen.Conv`. Equals `torch.nn.functional.conv1d` after moving channels last. Raises `ValueError` as `conv2d`
    does.

    >>> conv1d(jnp.array([[[1.0], [2.0], [4.0]]]), jnp.ones((2, 1, 1)), padding="VALID").ravel()
    Array([3., 6.], dtype=float32)
    """
    check_groups(kernel.shape, channels=x.shape[-1], groups=groups)
    x, zeros = continued(x, padding, window=kernel.shape[:1], dilation=dilation)
    (time,) = slide((x.shape[-2],), window=kernel.shape[0], stride=stride, padding=zeros, dilation=dilation)
    y = conv2d(
        jnp.asarray(x)[..., None, :, :],
        jnp.asarray(kernel)[None],
        bias,
        stride=(1, time.stride),
        padding=((0, 0), time.padding),
        dilation=(1, time.dilation),
        groups=groups,
    )
    return y[..., 0, :, :]
