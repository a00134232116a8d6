"""Normalization within one example: layer, group, instance and root mean square."""

import math

import jax.numpy as jnp

from fjdl.functional.moments import affine, centre, inverse_deviation, mean_over, trailing
from fjdl.fused import fused
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Number, typed


@typed
@fused
def layer_norm(
    x: Float[Array, "*batch d"],
    scale: Float[Array, "d"] | None = None,
    bias: Float[Array, "d"] | None = None,
    *,
    epsilon: Number = 1e-5,
) -> Float[Array, "*batch d"]:
    """`(x - μ) / √(σ² + epsilon) · scale + bias` with mean and biased variance of each row, in the dtype of `x`.

    Computed in float32, centred. A constant row gives `bias` with finite gradient. A sum of squares that overflows,
    from deviations near 1e19 / √d on, gives NaN.
    Ba, Kiros & Hinton 2016, arXiv:1607.06450. Equals `torch.nn.functional.layer_norm(x, (d,))`.

    >>> layer_norm(jnp.array([[1.0, 3.0]]), epsilon=0.0)
    Array([[-1.,  1.]], dtype=float32)
    """
    wide = widened(x)
    y = affine(centre(wide, mean=lambda values: mean_over(values, axes=(-1,))), epsilon=epsilon)
    return _scaled(y, scale, bias).astype(x.dtype)


@typed
@fused
def rms_norm(
    x: Float[Array, "*batch d"], scale: Float[Array, "d"] | None = None, *, epsilon: Number = 1e-6
) -> Float[Array, "*batch d"]:
    """`x / √(E[x²] + epsilon) · scale` with the mean square of each row, in the dtype of `x`.

    Computed in float32. A row of zeros gives 0 with finite gradient. A sum of squares that overflows, from entries near
    1e19 / √d on, gives NaN. Zhang & Sennrich 2019, arXiv:1910.07467.
    Equals `torch.nn.functional.rms_norm(x, (d,), eps=epsilon)`.

    >>> rms_norm(jnp.array([[3.0, 3.0]]), epsilon=0.0)
    Array([[1., 1.]], dtype=float32)
    """
    wide = widened(x)
    inverse = inverse_deviation(mean_over(jnp.square(wide), axes=(-1,)), epsilon=epsilon)
    return _scaled(wide * inverse, scale, None).astype(x.dtype)


@typed
@fused
def group_norm(
    x: Float[Array, "n *space c"],
    scale: Float[Array, "c"] | None = None,
    bias: Float[Array, "c"] | None = None,
    *,
    groups: int,
    epsilon: Number = 1e-5,
) -> Float[Array, "n *space c"]:
    """`(x - μ) / √(σ² + epsilon) · scale + bias` with moments of each example and group of `c / groups` channels.

    They are taken over all axes between the first and the last as well, biased, in float32, centred; the result has
    the dtype of `x`. A constant group gives `bias` with finite gradient; squares overflow to NaN as in `layer_norm`.
    Raises `ValueError` where `groups` does not divide the channels, and for groups of one value, which have no
    deviation. Wu & He 2018, arXiv:1803.08494. Equals `torch.nn.functional.group_norm` on channels first.

    >>> group_norm(jnp.array([[1.0, 3.0, 5.0, 5.0]]), groups=2, epsilon=0.0)
    Array([[-1.,  1.,  0.,  0.]], dtype=float32)
    """
    channels = x.shape[-1]
    if groups < 1 or channels % groups:
        raise ValueError(f"groups must divide the {channels} channels, got {groups}")
    if math.prod(x.shape[1:-1]) * channels == groups:
        raise ValueError(f"each group must hold more than one value, got x of shape {x.shape} in {groups} groups")
    split = (groups, channels // groups)
    wide = widened(x).reshape(*x.shape[:-1], *split)
    axes = (*range(1, x.ndim - 1), x.ndim)
    scale, bias = (None if p is None else p.reshape(split) for p in (scale, bias))
    y = affine(centre(wide, mean=lambda values: mean_over(values, axes=axes)), scale, bias, epsilon=epsilon)
    return y.reshape(x.shape).astype(x.dtype)


@typed
@fused
def instance_norm(
    x: Float[Array, "n *space c"],
    scale: Float[Array, "c"] | None = None,
    bias: Float[Array, "c"] | None = None,
    *,
    epsilon: Number = 1e-5,
) -> Float[Array, "n *space c"]:
    """`(x - μ) / √(σ² + epsilon) · scale + bias` with moments of each example and channel: groups of one channel.

    Everything else is as in `group_norm`. Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.
    Equals `torch.nn.functional.instance_norm` on channels first.
    """
    return group_norm(x, scale, bias, groups=x.shape[-1], epsilon=epsilon)


def _scaled(x: Array, scale: Array | None, bias: Array | None) -> Array:
    x = x if scale is None else x * trailing(scale, like=x)
    return x if bias is None else x + trailing(bias, like=x)
