"""A batch normalization whose statistics stand still, folded into the product before it."""

import jax.numpy as jnp

from fjdl.functional.batch_norm import Number
from fjdl.typing import Array, Float, typed


@typed
def fold_batch_norm(
    kernel: Float[Array, "..."],
    mean: Float[Array, "c"],
    variance: Float[Array, "c"],
    *,
    bias: Float[Array, "c"] | None = None,
    scale: Float[Array, "c"] | None = None,
    shift: Float[Array, "c"] | None = None,
    epsilon: Number = 1e-5,
    axis: int = -1,
) -> tuple[Float[Array, "..."], Float[Array, "c"]]:
    """Kernel and bias whose product is that of `kernel` and `bias` after `batch_norm_inference`.

    With s = scale / √(variance + epsilon) they are kernel · s and (bias − mean) · s + shift, in float32, whatever the
    dtypes; `axis` is that of the kernel's output channels. `scale` and `shift` are those of the normalization, 1 and 0
    by default. Jacob et al. 2018, arXiv:1712.05877, section 3.2; equal to `torch.nn.utils.fuse_conv_bn_weights`. Raises
    `ValueError` where the channels differ.

    >>> kernel, bias = fold_batch_norm(jnp.ones((3, 2)), jnp.ones(2), jnp.array([1.0, 4.0]), epsilon=0.0)
    >>> kernel[0], bias
    (Array([1. , 0.5], dtype=float32), Array([-1. , -0.5], dtype=float32))
    """
    if kernel.shape[axis] != mean.shape[0]:
        raise ValueError(f"axis {axis} of kernel must have the {mean.shape[0]} channels of mean, got {kernel.shape}")
    kernel, mean, variance = (jnp.asarray(x).astype(jnp.float32) for x in (kernel, mean, variance))
    factor = (1.0 if scale is None else scale.astype(jnp.float32)) / jnp.sqrt(variance + epsilon)
    before = -mean if bias is None else bias.astype(jnp.float32) - mean
    after = before * factor if shift is None else before * factor + shift.astype(jnp.float32)
    along = [1] * kernel.ndim
    along[axis] = -1
    return kernel * factor.reshape(along), after
