"""Numerical guards that every floor shares."""

import jax
import jax.numpy as jnp

from fjdl.typing import Array, Inexact, Num


def accumulate(x: Num[Array, "..."]) -> Inexact[Array, "..."]:
    """`x` in the dtype sums are kept in: float32, or float64 where `x` is float64."""
    return jnp.asarray(x).astype(jnp.promote_types(jnp.result_type(x), jnp.float32))


def safe_divide(
    numerator: Inexact[Array, "..."], denominator: Inexact[Array, "..."], *, otherwise: float = 0.0
) -> Inexact[Array, "..."]:
    """`numerator / denominator`, and `otherwise` with zero gradient where the denominator is 0."""
    zero = denominator == 0
    return jnp.where(zero, otherwise, numerator / jnp.where(zero, 1, denominator))


def matmul_precision() -> jax.lax.Precision:
    """The precision of every matrix product: float32 inputs are multiplied as float32, on TPU too."""
    return jax.lax.Precision.HIGHEST
