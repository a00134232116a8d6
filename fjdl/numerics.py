"""Numerical guards that every floor shares."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.typing import Array, Bool, Inexact, Integer, Num


def wide(dtype: DTypeLike) -> jnp.dtype:
    """The dtype sums are kept in: float64 for float64, float32 for everything else."""
    return jnp.dtype(jnp.float64 if dtype == jnp.float64 else jnp.float32)


def accumulate(x: Num[Array, "..."]) -> Inexact[Array, "..."]:
    """`x` in the dtype sums are kept in, see `wide`."""
    x = jnp.asarray(x)
    return x.astype(wide(x.dtype))


def signed(labels: Integer[Array, "..."] | Bool[Array, "..."]) -> Integer[Array, "..."]:
    """Labels in a signed dtype that holds every class number, so that uint8 compares with 1000 classes."""
    labels = jnp.asarray(labels)
    return labels.astype(jnp.int64 if labels.dtype.itemsize == 8 else jnp.int32)


def safe_divide(
    numerator: Inexact[Array, "..."], denominator: Inexact[Array, "..."], *, otherwise: float = 0.0
) -> Inexact[Array, "..."]:
    """`numerator / denominator`, and `otherwise` with zero gradient where the denominator is 0.

    Both are scaled by the denominator, so the gradient never squares one as small as 1e-30.
    """
    zero = denominator == 0
    scale = jax.lax.stop_gradient(jnp.where(zero | jnp.isinf(denominator), 1, denominator))
    return jnp.where(zero, otherwise, numerator / scale / jnp.where(zero, 1, denominator / scale))


def below_largest(x: Inexact[Array, "..."], *, axis: int) -> Inexact[Array, "..."]:
    """`x` less the largest entry along `axis`; the limit, without gradient, where that is infinite."""
    largest = jax.lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True, initial=-jnp.inf))
    unbounded = jnp.isinf(largest)
    limit = jnp.where((x == largest) & (largest > 0), 0.0, -jnp.inf)
    return jnp.where(unbounded, limit, x - jnp.where(unbounded, 0, largest))


def norm(x: Inexact[Array, "..."], *, axis: int = -1) -> Inexact[Array, "..."]:
    """Euclidean norm along `axis`, which is kept with length 1; 0 with zero gradient at a zero vector.

    Scaled by the largest entry, so squares neither overflow at 1e30 nor vanish at 1e-30.
    """
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0.0))
    zero = scale == 0
    scale = jnp.where(zero, 1, scale)
    total = jnp.sum(jnp.square(x / scale), axis=axis, keepdims=True)
    return jnp.where(zero, 0, scale * jnp.sqrt(jnp.where(zero, 1, total)))


def unit(x: Inexact[Array, "..."], *, axis: int = -1) -> Inexact[Array, "..."]:
    """`x` divided by its Euclidean norm along `axis`; 0 with zero gradient at a zero vector."""
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0.0))
    x = safe_divide(x, scale)
    return safe_divide(x, norm(x, axis=axis))
