"""Batch normalization whose statistics take one pass over the data, as accelerators run it fast.

There the sums of an array and of its squares are made while a convolution writes it, and those of a product from the
products of what goes in, so that neither is read again. The two passes of `fjdl.functional.batch_norm` cannot be.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.functional.moments import normalized_by, slope_of, trailing
from fjdl.lowering.projection import cross, project
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, Number, PyTree, typed

AxisName = str | tuple[str, ...] | None
ONES = 8  # columns of ones with which a sum becomes a matrix product
exact = partial(jnp.matmul, precision="highest")


class Examples(NamedTuple):
    """Which values count, and how many there are of each channel, over all devices."""

    selected: Array | None  # bool, with the rank of the data, or all of them
    number: Array


@typed
def of_examples(values: Float[Array, "*shape"], examples: Examples) -> Float[Array, "*shape"]:
    """The values, and 0 for those that do not count."""
    return values if examples.selected is None else jnp.where(examples.selected, values, 0)


@typed
def normalized(
    x: Float[Array, "*batch c"],
    scale: Float[Array, "c"] | None,
    bias: Float[Array, "c"] | None,
    examples: Examples,
    shift: Float[Array, "c"],
    *,
    epsilon: Number,
    over: AxisName,
) -> tuple[Float[Array, "*batch c"], Float[Array, "c"], Float[Array, "c"]]:
    """`x` normalized, the mean and the biased variance of each channel, from sums about `shift`.

    The variance has an error of about 2⁻²² (mean - shift)², so `shift` should lie within some deviations of the mean.
    """
    x = of_examples(x, examples)
    mean, variance = _moments(over, x, shift, examples)
    y = normalized_by(x, mean, variance, scale, bias, epsilon=epsilon)
    return of_examples(y, examples).astype(x.dtype), mean, variance


@typed
def normalized_product(
    x: Float[Array, "*batch k"],
    kernel: Float[Array, "k c"],
    scale: Float[Array, "c"] | None,
    bias: Float[Array, "c"] | None,
    examples: Examples,
    *,
    epsilon: Number,
    over: AxisName,
) -> tuple[Float[Array, "*batch c"], Float[Array, "c"], Float[Array, "c"]]:
    """`x @ kernel` normalized, its mean and its biased variance, all without the product itself.

    Where x has the mean m and the covariance C, the product has the mean m W and the variances diag(Wᵀ C W). So the
    normalization is known beforehand and goes into the kernel, W · slope, and one product gives the result. Its
    gradient needs neither the product nor the result.
    """
    dtype, kernel = x.dtype, widened(kernel)
    x = of_examples(widened(x), examples)  # so that its gradients are added in float32
    mean, covariance = _covariance(over, dtype, x, examples)
    variance = jnp.maximum(jnp.sum(kernel * exact(covariance, kernel), axis=0), 0)
    mean = exact(mean, kernel)
    slope = slope_of(variance, scale, epsilon=epsilon)
    offset = -mean * slope if bias is None else widened(bias) - mean * slope
    y = project(x, kernel * trailing(slope, like=kernel), dtype=dtype)
    return of_examples(y + trailing(offset, like=y), examples).astype(dtype), mean, variance


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _moments(over: AxisName, x: Array, shift: Array, examples: Examples) -> tuple[Array, Array]:
    """Mean and biased variance of each channel."""
    wide = widened(x)
    deviation = of_examples(wide - trailing(shift, like=wide), examples)
    first, second = joined((_sum(deviation), _sum(jnp.square(deviation))), over)
    rest = safe_divide(first, examples.number)
    return shift + rest, jnp.maximum(safe_divide(second, examples.number) - jnp.square(rest), 0)


@_moments.defjvp
def _moments_jvp(over: AxisName, primals: tuple, tangents: tuple) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Stated with x itself, so that its transpose is one multiple of x and one number for each channel."""
    x, _, examples = primals
    mean, variance = _moments(over, *primals)
    tangent = of_examples(widened(tangents[0]), examples)
    first, second = joined((_sum(tangent), _sum(widened(x) * tangent)), over)
    moved = safe_divide(first, examples.number)
    return (mean, variance), (moved, 2 * (safe_divide(second, examples.number) - mean * moved))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _covariance(over: AxisName, dtype: jnp.dtype, x: Array, examples: Examples) -> tuple[Array, Array]:
    """Mean of each channel and covariance of each two, of numbers of a dtype; those that do not count are 0."""
    ones = jnp.ones((*x.shape[:-1], ONES), x.dtype)
    first, second = joined((cross(ones, x, dtype=dtype)[0], cross(x, x, dtype=dtype)), over)
    mean = safe_divide(first, examples.number)
    return mean, safe_divide(second, examples.number) - mean[:, None] * mean[None, :]


@_covariance.defjvp
def _covariance_jvp(
    over: AxisName, dtype: jnp.dtype, primals: tuple, tangents: tuple
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Stated so that the symmetric matrix of the products is transposed once."""
    x, examples = primals
    mean, covariance = _covariance(over, dtype, *primals)
    first, second = joined((_sum(tangents[0]), cross(x, tangents[0], dtype=dtype)), over)
    moved, products = safe_divide(first, examples.number), safe_divide(second, examples.number)
    outer = mean[:, None] * moved[None, :]
    return (mean, covariance), (moved, products + products.T - outer - outer.T)


@typed
def joined(sums: PyTree, over: AxisName) -> PyTree:
    """Sums over the parts of a batch that lie along an axis of a mesh or of `vmap`, in one exchange."""
    return sums if over is None else jax.lax.psum(sums, over)


def _sum(x: Array) -> Array:
    return jnp.sum(x, axis=tuple(range(x.ndim - 1)))
