"""Batch normalization: training form, that of a product, running statistics, inference form."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.functional.conv.conv2d import conv2d
from fjdl.functional.linear import linear
from fjdl.functional.moments import affine, centre, normalized_by
from fjdl.functional.single_pass import AxisName, Examples, joined, normalized, normalized_product, of_examples
from fjdl.numerics import safe_divide, widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Bool, Float, Num, Number, Scalar, typed


class Moments(NamedTuple):
    """What a batch tells about each channel, in float32 (float64 for float64)."""

    mean: Float[Array, "c"]
    variance: Float[Array, "c"]  # biased: divided by the count
    n: Scalar  # values per channel


@typed
def batch_norm(
    x: Float[Array, "*batch c"],
    scale: Float[Array, "c"] | None = None,
    bias: Float[Array, "c"] | None = None,
    *,
    mask: Bool[Array, "..."] | Num[Array, "..."] | None = None,
    shift: Float[Array, "c"] | None = None,
    epsilon: Number = 1e-5,
    axis_name: AxisName = None,
) -> tuple[Float[Array, "*batch c"], Moments]:
    """`(x - μ) / √(σ² + epsilon) · scale + bias` with mean and biased variance of the batch, and these moments.

    Both are taken per channel over all axes but the last, in float32, centred; the result has the dtype of `x`.
    A `mask`, whose shape is a beginning of `x.shape[:-1]`, says which examples (or tokens, or pixels) are there: the
    others do not count, come out as 0 and get zero gradient, whatever they hold. Inside `shard_map` or `vmap`,
    `axis_name` joins the parts to one batch, exactly also where their masks differ.
    Zero variance gives `bias` with finite gradient. A sum of squares that overflows, from deviations near 1e19 / √n on,
    gives NaN.
    `shift`, a guess of the mean such as the running one, lets accelerators take the statistics of 16-bit data in one
    pass, with an error of the variance of about 2⁻²² (μ - shift)²: at (μ - shift) / σ = 100 that is 0.2 %. CPUs, wider
    data, and calls without it take two passes, whose variance has all digits.
    Raises `ValueError` for a batch of one value per channel, which has no deviation.
    Ioffe & Szegedy 2015, arXiv:1502.03167. Equals `torch.nn.functional.batch_norm(training=True)`.

    >>> batch_norm(jnp.array([[1.0], [3.0]]), epsilon=0.0)[0].ravel()
    Array([-1.,  1.], dtype=float32)
    """
    examples = _examples(mask, x.shape, axis_name)
    twice = partial(_two_passes, epsilon=epsilon, axis_name=axis_name)
    if shift is None or x.dtype.itemsize > 2:
        return twice(x, scale, bias, examples)

    def once(
        x: Array, scale: Array | None, bias: Array | None, examples: Examples, shift: Array
    ) -> tuple[Array, Moments]:
        y, mean, variance = normalized(x, scale, bias, examples, shift, epsilon=epsilon, over=axis_name)
        return y, Moments(mean, variance, examples.number)

    about = jax.lax.stop_gradient(widened(shift))
    return by_platform(
        jnp.asarray(x), scale, bias, examples, about, cpu=lambda *args: twice(*args[:-1]), elsewhere=once
    )


@typed
def batch_norm_of_product(
    x: Float[Array, "*batch k"],
    kernel: Float[Array, "k c"],
    scale: Float[Array, "c"] | None = None,
    bias: Float[Array, "c"] | None = None,
    *,
    mask: Bool[Array, "..."] | Num[Array, "..."] | None = None,
    shift: Float[Array, "c"] | None = None,
    epsilon: Number = 1e-5,
    axis_name: AxisName = None,
) -> tuple[Float[Array, "*batch c"], Moments]:
    """`batch_norm` of `x @ kernel`, a convolution of one pixel: the result and the moments of the product.

    On accelerators, for 16-bit data, the moments are made of the mean and the covariance of x, and the normalization is
    folded into the kernel: the product is never written, neither here nor for the gradient, and is not rounded before
    it is normalized. It pays where the kernel has at least as many columns as rows. The variance has then an error of
    about 2⁻²² times the largest variance that a kernel of this norm can give, μ² of x included. Elsewhere it is the one
    after the other. The options and errors are those of `batch_norm`.

    >>> batch_norm_of_product(jnp.array([[1.0], [3.0]]), jnp.array([[2.0]]), epsilon=0.0)[0].ravel()
    Array([-1.,  1.], dtype=float32)
    """

    def apart(x: Array, kernel: Array, scale: Any, bias: Any, mask: Any, shift: Any) -> tuple[Array, Moments]:
        y = linear(x, kernel) if x.ndim < 3 else conv2d(x, kernel[None, None], padding="VALID")
        return batch_norm(y, scale, bias, mask=mask, shift=shift, epsilon=epsilon, axis_name=axis_name)

    def folded(x: Array, kernel: Array, scale: Any, bias: Any, mask: Any, _: Any) -> tuple[Array, Moments]:
        examples = _examples(mask, x.shape, axis_name)
        y, mean, variance = normalized_product(x, kernel, scale, bias, examples, epsilon=epsilon, over=axis_name)
        return y, Moments(mean, variance, examples.number)

    operands = (jnp.asarray(x), kernel, scale, bias, mask, shift)
    return apart(*operands) if x.dtype.itemsize > 2 else by_platform(*operands, cpu=apart, elsewhere=folded)


def _two_passes(
    x: Array, scale: Array | None, bias: Array | None, examples: Examples, *, epsilon: Number, axis_name: AxisName
) -> tuple[Array, Moments]:
    count = examples.number.astype(widened(x).dtype)

    def mean(values: Array) -> Array:
        total = jnp.sum(of_examples(values, examples), axis=tuple(range(x.ndim - 1)), keepdims=True)
        return safe_divide(joined(total, axis_name), count)

    centred = centre(of_examples(widened(x), examples), mean=mean)
    y = of_examples(affine(centred, scale, bias, epsilon=epsilon), examples)
    return y.astype(x.dtype), Moments(centred.mean.reshape(-1), centred.variance.reshape(-1), count)


def _examples(mask: Array | None, shape: tuple[int, ...], axis_name: AxisName) -> Examples:
    selected = None if mask is None else _selected(mask, shape)
    return Examples(selected, _count(selected, shape, axis_name))


@typed
def running_moments(
    mean: Float[Array, "c"],
    variance: Float[Array, "c"],
    batch_mean: Float[Array, "c"],
    batch_variance: Float[Array, "c"],
    n: Scalar,
    *,
    momentum: Number = 0.9,
    unbiased: bool = False,
) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
    """Running mean and variance after one more batch: `momentum · running + (1 - momentum) · batch`.

    The last three arrays are the `Moments` of `batch_norm`. The convention of momentum is that of Flax and Keras;
    PyTorch's momentum is `1 - momentum`. The running variance is that of the batches, biased, as in Flax; `unbiased`
    multiplies each by `n / (n - 1)` first, as in PyTorch and Ioffe & Szegedy 2015 (algorithm 2).
    A channel whose moments are not finite keeps its statistics, so that one NaN does not stay in them for ever, and
    all channels keep theirs after a batch of fewer than two values. Results have the dtype of the running statistics.
    Raises `ValueError` for a momentum outside [0, 1].
    """
    within("[0, 1]", momentum=momentum)
    if unbiased:
        batch_variance = batch_variance * (n / jnp.maximum(n - 1, 1)).astype(batch_variance.dtype)
    usable = (n > 1) & jnp.isfinite(batch_mean) & jnp.isfinite(batch_variance)

    def mix(old: Array, new: Array) -> Array:
        wide = widened(old)
        batch = jnp.where(usable, new.astype(wide.dtype), 0)
        return jnp.where(usable, momentum * wide + (1 - momentum) * batch, wide).astype(old.dtype)

    return mix(mean, batch_mean), mix(variance, batch_variance)


@typed
def batch_norm_inference(
    x: Float[Array, "*batch c"],
    mean: Float[Array, "c"],
    variance: Float[Array, "c"],
    scale: Float[Array, "c"] | None = None,
    bias: Float[Array, "c"] | None = None,
    *,
    epsilon: Number = 1e-5,
) -> Float[Array, "*batch c"]:
    """`(x - mean) / √(variance + epsilon) · scale + bias` per channel, with given statistics, in the dtype of `x`.

    With `scale = √(variance + epsilon)` and `bias = mean` it is the identity.
    Equals `torch.nn.functional.batch_norm(training=False)`.
    """
    return normalized_by(x, mean, variance, scale, bias, epsilon=epsilon).astype(x.dtype)


def _selected(mask: Array, shape: tuple[int, ...]) -> Bool[Array, "..."]:
    """Where the mask is True or non-zero, with the rank of `shape`."""
    if mask.shape != shape[: mask.ndim] or mask.ndim >= len(shape):
        raise ValueError(f"the shape of mask must be a beginning of {shape[:-1]}, got {mask.shape}")
    return (mask != 0).reshape(mask.shape + (1,) * (len(shape) - mask.ndim))


def _count(selected: Array | None, shape: tuple[int, ...], axis_name: AxisName) -> Scalar:
    """Values per channel, over all devices."""
    present = math.prod(shape[:-1])
    total = present if axis_name is None else present * jax.lax.axis_size(axis_name)
    if total == 1:
        raise ValueError(f"batch_norm needs more than one value per channel in training, got x of shape {shape}")
    if selected is None:
        return jnp.float32(total)
    repeats = math.prod(n for n, m in zip(shape[:-1], selected.shape, strict=False) if m != n)
    return joined(jnp.sum(selected, dtype=jnp.int32) * repeats, axis_name).astype(jnp.float32)
