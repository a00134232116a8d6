"""What losses of labels share: which are in range, the entry at each, NaN for those that are not, bounded nats."""

import jax
import jax.numpy as jnp

from fjdl.meshes import alike
from fjdl.numerics import signed
from fjdl.typing import Array, Bool, Float, Integer


def largest(logits: Float[Array, "*batch k"]) -> Float[Array, "*batch 1"]:
    """The largest logit of each row, -inf of a row without classes."""
    return jnp.max(logits, axis=-1, keepdims=True, initial=-jnp.inf)


def one_hot(labels: Integer[Array, "*batch"], classes: int) -> tuple[Bool[Array, "*batch"], Bool[Array, "*batch k"]]:
    """Which labels are in [0, classes), and which class is each example's, the first where the label is not."""
    in_range = known(labels, classes)
    return in_range, hits(jnp.where(in_range, signed(labels), 0), classes)


def known(labels: Integer[Array, "*batch"], classes: int) -> Bool[Array, "*batch"]:
    """Which labels are in [0, classes)."""
    return (signed(labels) >= 0) & (signed(labels) < classes)


def hits(labels: Integer[Array, "*batch"], classes: int) -> Bool[Array, "*batch k"]:
    """Which class is each example's, none where the label is not in [0, classes)."""
    labels = signed(labels)
    return labels[..., None] == jnp.arange(classes, dtype=labels.dtype).reshape((1,) * labels.ndim + (classes,))


def at_label(
    x: Float[Array, "*batch k"], in_range: Bool[Array, "*batch"], hits: Bool[Array, "*batch k"]
) -> Float[Array, "*batch"]:
    """The entry of each row at its label; where there is none the row's sum, whose gradient reaches all of the row."""
    return jnp.sum(jnp.where(hits | ~in_range[..., None], x, 0), axis=-1)


def nan_unless(valid: Bool[Array, "*batch"], values: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """NaN where `values` are not valid, and in their gradient, except where the gradient passed back is exactly 0.

    That exception lets a mask work, and a product with NaN cannot make it. So this is the identity in the form of a
    linear solve, whose transpose can be stated and which `vmap` and forward mode know.
    """
    valid, values = alike(valid, values)

    def solve(_: object, values: Array) -> Array:
        return jnp.where(valid, values, jnp.nan)

    def transpose_solve(_: object, gradient: Array) -> Array:
        return jnp.where(valid | (gradient == 0), gradient, jnp.nan)

    return jax.lax.custom_linear_solve(lambda x: x, values, solve, transpose_solve)


def bounded(nats: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """At most 1000, where `exp(-nats)` is 0 for long, so that no infinity meets its zero gradient."""
    return jnp.where(nats < 1000, nats, 1000)
