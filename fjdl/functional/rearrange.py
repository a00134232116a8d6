"""Pixels into channels and back, and channels among each other, without arithmetic."""

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.typing import Array, Shaped, typed


@typed
def depth_to_space(x: Shaped[Array, "*batch h w c"], *, block: int) -> Shaped[Array, "*batch h_out w_out c_out"]:
    """Channels as pixels: channel `k · block² + i · block + j` becomes row i, column j of a block of channel k.

    Images grow by `block` along both axes and keep 1 / block² of their channels (Shi et al. 2016, arXiv:1609.05158).
    Equals `torch.nn.functional.pixel_shuffle`, and not TensorFlow's operation of this name, where channel k comes last.
    Raises `ValueError` for a block below 1, and unless block² divides the channels.

    >>> depth_to_space(jnp.arange(4.0).reshape(1, 1, 4), block=2)[..., 0]
    Array([[0., 1.],
           [2., 3.]], dtype=float32)
    """
    at_least(1, block=block)
    *batch, h, w, c = x.shape
    if c % block**2:
        raise ValueError(f"block² must divide the channels, got block {block} and {c} channels")
    split = jnp.reshape(x, (*batch, h, w, c // block**2, block, block))
    n = len(batch)
    pixels = split.transpose(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return pixels.reshape(*batch, h * block, w * block, c // block**2)


@typed
def space_to_depth(x: Shaped[Array, "*batch h w c"], *, block: int) -> Shaped[Array, "*batch h_out w_out c_out"]:
    """Pixels as channels: row i, column j of a block of channel k becomes channel `k · block² + i · block + j`.

    The inverse of `depth_to_space`. Equals `torch.nn.functional.pixel_unshuffle`.
    Raises `ValueError` for a block below 1, and unless it divides height and width.

    >>> space_to_depth(jnp.arange(4.0).reshape(2, 2, 1), block=2)
    Array([[[0., 1., 2., 3.]]], dtype=float32)
    """
    at_least(1, block=block)
    *batch, h, w, c = x.shape
    if h % block or w % block:
        raise ValueError(f"block must divide height and width, got block {block} and an image of {(h, w)}")
    split = jnp.reshape(x, (*batch, h // block, block, w // block, block, c))
    n = len(batch)
    channels = split.transpose(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return channels.reshape(*batch, h // block, w // block, c * block**2)


@typed
def channel_shuffle(x: Shaped[Array, "*batch c"], *, groups: int) -> Shaped[Array, "*batch c"]:
    """Channels in turn from each group: channel i of group g moves to `i · groups + g`.

    Zhang et al. 2018, arXiv:1707.01083; `channel_shuffle(groups=c // groups)` is the inverse. Equals
    `torch.nn.functional.channel_shuffle`. Raises `ValueError` unless the groups are at least 1 and divide the channels.

    >>> channel_shuffle(jnp.arange(4.0), groups=2)
    Array([0., 2., 1., 3.], dtype=float32)
    """
    c = x.shape[-1]
    if groups < 1 or c % groups:
        raise ValueError(f"groups must be at least 1 and divide the channels, got {groups} groups of {c} channels")
    grouped = jnp.reshape(x, (*x.shape[:-1], groups, c // groups))
    return jnp.swapaxes(grouped, -1, -2).reshape(x.shape)
