"""Initial kernels of a form: orthogonal ones, those that change nothing, and bilinear interpolation.

`fjdl.functional.initializers` exports them.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.numerics import wide
from fjdl.typing import Array, Float, PRNGKey, typed

Initializer = Callable[..., Array]


@typed
def orthogonal(*, gain: float = 1.0) -> Initializer:
    """A uniformly drawn orthogonal matrix times `gain`: `[..., out]`, seen as a matrix with a column for each output.

    With more rows than columns the columns are orthonormal, else the rows, so that lengths are kept in one direction.
    Drawn by QR decomposition of normal numbers, with the signs that make it uniform. Saxe et al. 2014,
    arXiv:1312.6120. Equals `torch.nn.init.orthogonal_` in distribution. Raises `ValueError` for fewer than two axes.
    """

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        if len(shape) < 2:
            raise ValueError(f"shape must have at least two axes to be orthogonal, got {shape}")
        if 0 in shape:
            return jnp.zeros(shape, dtype)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = jax.random.normal(key, (max(rows, columns), min(rows, columns)), wide(dtype))
        q, r = jnp.linalg.qr(drawn)
        q = q * jnp.where(jnp.diagonal(r) < 0, -1, 1).astype(q.dtype)[None]
        return (gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)

    return init


@typed
def identity(*, gain: float = 1.0) -> Initializer:
    """The unit matrix times `gain`, for a dense kernel `[in, out]`: output i is input i, as far as both exist.

    Le et al. 2015, arXiv:1504.00941, for recurrent kernels. Equals `torch.nn.init.eye_`. Raises `ValueError` unless
    the kernel has two axes.

    >>> identity()(jax.random.key(0), (2, 2))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        del key
        if len(shape) != 2:
            raise ValueError(f"shape must have two axes, got {shape}; dirac is the identity of a convolution")
        return gain * jnp.eye(*shape, dtype=dtype)

    return init


@typed
def dirac(*, groups: int = 1) -> Initializer:
    """The kernel `[..., in / groups, out]` of a convolution that returns its input, as far as there are channels.

    It is 1 at the centre of the window where the output is the input of the same number in the group, else 0. The
    centre of an even window is the earlier one, at which padding "SAME" makes `conv2d` the identity; for odd windows it
    equals `torch.nn.init.dirac_`, which takes the later one. Zagoruyko & Komodakis 2017, arXiv:1706.00388. Raises
    `ValueError` for fewer than three axes and for groups that do not divide the outputs.
    """

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        del key
        if len(shape) < 3:
            raise ValueError(f"shape must have a window and two axes of channels, got {shape}")
        *window, within, outputs = shape
        if groups < 1 or outputs % groups:
            raise ValueError(f"groups must be positive and divide the outputs, got {groups} for {shape}")
        centre = tuple((size - 1) // 2 for size in window)
        same = jnp.arange(within)[:, None] == jnp.arange(outputs)[None] % (outputs // groups)
        return jnp.zeros(shape, dtype).at[centre].set(same.astype(dtype))

    return init


@typed
def bilinear() -> Initializer:
    """The kernel `[..., in, out]` of a transposed convolution that interpolates each channel linearly.

    With a stride s, windows of 2 s pixels for an even s (2 s - 1 for an odd one) and padding s // 2 the images become s
    times as large, each pixel a mean of the two around it along each axis, and zeros beyond the border. Channels do not
    mix. Long et al. 2015, arXiv:1411.4038; Caffe's "bilinear" filler. Raises `ValueError` for fewer than three axes.

    >>> bilinear()(jax.random.key(0), (4, 1, 1))[:, 0, 0]
    Array([0.25, 0.75, 0.75, 0.25], dtype=float32)
    """

    @typed
    def init(key: PRNGKey, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Float[Array, "..."]:
        del key
        if len(shape) < 3:
            raise ValueError(f"shape must have a window and two axes of channels, got {shape}")
        *window, rows, columns = shape
        weights = jnp.eye(rows, columns, dtype=wide(dtype))
        for size in reversed(window):
            distance = jnp.abs(jnp.arange(size, dtype=wide(dtype)) - (size - 1) / 2)
            line = 1 - distance / ((size + 1) // 2)
            weights = line.reshape(-1, *[1] * weights.ndim) * weights[None]
        return weights.astype(dtype)

    return init
