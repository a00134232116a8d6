"""Biases that take back by how much a changed kernel moves the mean of each output."""

import jax.numpy as jnp
from jax.scipy.stats import norm

from fjdl.checks import at_least
from fjdl.metrics.base import Weights, weight_of_each
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Number, typed


@typed
def correct_bias(
    bias: Float[Array, "c"],
    outputs: Float[Array, "*shape c"],
    changed_outputs: Float[Array, "*shape c"],
    *,
    weights: Weights = None,
) -> Float[Array, "c"]:
    """`bias` plus the mean of `outputs` − `changed_outputs` over all axes but the last, so that both means agree.

    The outputs are those of one layer on calibration data, with its float kernel and with the quantized one, before the
    activation. Correct the layers in their order, each on what the corrected ones before it give. `weights` of examples
    are as in a metric: those of weight 0 do not count, NaN included, and without any the bias stays. In float32. Nagel
    et al. 2019, arXiv:1906.04721, appendix D.

    >>> correct_bias(jnp.zeros(1), jnp.array([[1.0], [2.0]]), jnp.array([[1.5], [2.0]]))
    Array([-0.25], dtype=float32)
    """
    axes = tuple(range(outputs.ndim - 1))
    each = weight_of_each(weights, outputs.shape).astype(jnp.float32)
    difference = outputs.astype(jnp.float32) - changed_outputs.astype(jnp.float32)
    total = jnp.sum(jnp.where(each != 0, each * difference, 0.0), axis=axes)
    amount = jnp.sum(each, axis=axes)
    return bias.astype(jnp.float32) + jnp.where(amount != 0, total / jnp.where(amount != 0, amount, 1.0), 0.0)


@typed
def correct_bias_by_means(
    bias: Float[Array, "d"],
    kernel: Float[Array, "*window n d"],
    changed_kernel: Float[Array, "*window n d"],
    means: Float[Array, "c"],
    *,
    groups: int = 1,
) -> Float[Array, "d"]:
    """`bias` minus (changed_kernel − kernel) · means: the correction without data, from the mean of each input.

    The weights of a window are summed, as if all of its places held the mean; at the border, where padding is read,
    this is off. `means` are known from the batch normalization before, see `rectified_mean`. `groups` are those of the
    convolution, with c = n · groups. In float32, of float64 in float64. Raises `ValueError` where the channels do not
    fit. Nagel et al. 2019, arXiv:1906.04721, section 4.2.

    >>> correct_bias_by_means(jnp.zeros(1), jnp.array([[1.0], [2.0]]), jnp.array([[1.5], [2.0]]), jnp.array([4.0, 1.0]))
    Array([-2.], dtype=float32)
    """
    at_least(1, groups=groups)
    n, d = kernel.shape[-2:]
    if d % groups or means.shape[0] != n * groups:
        raise ValueError(
            f"a kernel {tuple(kernel.shape)} of {groups} groups must have outputs that they divide and "
            f"{n * groups} means, got {means.shape[0]}"
        )
    moved = (widened(changed_kernel) - widened(kernel)).reshape(-1, n, d).sum(axis=0)
    parts = moved.reshape(n, groups, d // groups) * widened(means).reshape(groups, n).T[:, :, None]
    return widened(bias) - parts.sum(axis=0).reshape(d)


@typed
def rectified_mean(
    mean: Float[Array, "*shape"], deviation: Float[Array, "*shape"], *, top: Number | None = None
) -> Float[Array, "*shape"]:
    """The mean of ReLU(x), or with `top` = 6 of ReLU6(x), of a normally distributed x.

    After a batch normalization `mean` is its shift and `deviation` the absolute value of its scale; without deviation
    it is ReLU(mean). In float32, of float64 in float64. Nagel et al. 2019, arXiv:1906.04721, appendix C.

    >>> rectified_mean(jnp.array([0.0, 10.0]), jnp.array([1.0, 1.0])).round(4)
    Array([ 0.3989, 10.    ], dtype=float32)
    """
    mean, deviation = widened(mean), widened(deviation)
    found = _above_zero(mean, deviation)
    return found if top is None else found - _above_zero(mean - top, deviation)


def _above_zero(mean: Array, deviation: Array) -> Array:
    """E[max(x, 0)] = deviation · φ(mean / deviation) + mean · Φ(mean / deviation)."""
    spreads = deviation > 0
    z = mean / jnp.where(spreads, deviation, 1.0)
    return jnp.where(spreads, deviation * norm.pdf(z) + mean * norm.cdf(z), jnp.maximum(mean, 0.0))
