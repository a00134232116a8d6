"""Two layers whose channels are scaled against each other, so that one grid for a whole kernel suits every channel."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.quant.grid import refuse_nan
from fjdl.typing import Array, Float, typed


class Equalized(NamedTuple):
    """Both kernels and the bias between them, and by what each channel between them was divided."""

    kernel: Array
    next_kernel: Array
    bias: Array | None
    scale: Array


@typed
def equalize_layers(
    kernel: Float[Array, "..."],
    next_kernel: Float[Array, "..."],
    *,
    bias: Float[Array, "c"] | None = None,
    groups: int = 1,
) -> Equalized:
    """Two layers in a row of which each channel between them has the same range in both kernels.

    With the ranges r1 and r2, the largest absolute weight of a channel in `kernel` `[..., c]` and in `next_kernel`
    `[..., c / groups, d]`, the outputs of the first layer are divided by s = √(r1 · r2) / r2, its bias too, and the
    weights of the second that read them are multiplied by it. What both compute together stays the same where the
    activation between them is positively homogeneous, f(s · x) = s · f(x): ReLU, leaky ReLU or none, and max or average
    pooling. A channel whose weights are all 0 in either kernel keeps them.

    `groups` are those of the second layer, c for a depthwise convolution. A dense layer after a flattened image of
    channels last has `next_kernel` `[height · width · c, d]`. For a chain of layers repeat over its pairs until the
    scales are 1. In float32. Raises `ValueError` where the channels do not fit, and for a known NaN or infinity. Nagel
    et al. 2019, arXiv:1906.04721, section 4.1.

    >>> found = equalize_layers(jnp.array([[8.0, 1.0]]), jnp.array([[2.0], [4.0]]))
    >>> found.kernel, found.next_kernel[:, 0], found.scale
    (Array([[4., 2.]], dtype=float32), Array([4., 2.], dtype=float32), Array([2. , 0.5], dtype=float32))
    """
    _require_pair(kernel.shape, next_kernel.shape, groups=groups)
    first, second = (jnp.asarray(k).astype(jnp.float32) for k in (kernel, next_kernel))
    refuse_nan(first, infinite=True, name="kernel")
    refuse_nan(second, infinite=True, name="next_kernel")
    readers = second.reshape(-1, first.shape[-1] // groups, groups, second.shape[-1] // groups)
    r1 = jnp.max(jnp.abs(first), axis=tuple(range(first.ndim - 1)))
    r2 = jnp.max(jnp.abs(readers), axis=(0, 3)).T.reshape(-1)
    scale = jnp.where((r1 > 0) & (r2 > 0), jnp.sqrt(r1) / jnp.sqrt(r2), 1.0)  # r1 · r2 may overflow
    times = scale.reshape(groups, -1).T[None, :, :, None]
    return Equalized(
        first / scale.reshape([1] * (first.ndim - 1) + [-1]),
        (readers * times).reshape(second.shape),
        None if bias is None else bias.astype(jnp.float32) / scale,
        scale,
    )


def _require_pair(first: tuple[int, ...], second: tuple[int, ...], *, groups: int) -> None:
    at_least(1, groups=groups)
    if not first or len(second) < 2 or 0 in first or 0 in second:
        raise ValueError(f"kernels must have input and output channels and no empty axis, got {first} and {second}")
    if first[-1] % groups or second[-1] % groups:
        raise ValueError(f"groups must divide {first[-1]} and {second[-1]} output channels, got {groups}")
    each, read = first[-1] // groups, second[-2]
    if read % each if groups == 1 else read != each:
        raise ValueError(f"next_kernel must read the {first[-1]} channels in {groups} groups, got shape {second}")
