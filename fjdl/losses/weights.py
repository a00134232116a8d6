"""Weights of classes and of examples, for `reduce.mean`."""

import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.losses.labels import one_hot
from fjdl.numerics import is_label, safe_divide, signed, widened
from fjdl.typing import Array, Float, Integer, Num, typed


@typed
@fused
def class_weights(counts: Num[Array, " k"]) -> Float[Array, " k"]:
    """Weights inversely proportional to the number of examples of each class: `N / (K n_c)`.

    `N` is the number of all examples and `K` that of the classes that have any, so the weights of the examples sum to
    `N`; a class without examples has weight 0. Of two classes the rare one thus weighs more, in the ratio of the other
    to itself. Equals `sklearn.utils.class_weight.compute_class_weight("balanced")`.

    >>> class_weights(jnp.array([3, 1]))
    Array([0.6666..., 2.       ], dtype=float32)
    """
    counts = widened(counts)
    present = jnp.sum((counts > 0).astype(counts.dtype))
    return safe_divide(jnp.sum(counts), present * counts)


@typed
@fused
def example_weights(
    labels: Integer[Array, "*batch"],
    class_weights: Float[Array, " k"] | None = None,
    *,
    ignore_label: int | None = None,
) -> Float[Array, "*batch"]:
    """The weight of each example: that of its label's class, 1 without `class_weights`, and 0 for `ignore_label`.

    Their sum is what `torch.nn.functional.cross_entropy(weight=class_weights, ignore_index=ignore_label)` divides by,
    so `mean(values, weights=example_weights(...))` of unweighted values equals it. Any other label outside [0, k) has
    weight NaN, which no mean hides.

    >>> example_weights(jnp.array([1, 0]), jnp.array([1.0, 5.0]))
    Array([5., 1.], dtype=float32)
    """
    labels = signed(labels)
    if class_weights is None:
        weights = jnp.ones(labels.shape, jnp.float32)
    else:
        class_weights = widened(class_weights)
        in_range, hits = one_hot(labels, class_weights.shape[0])
        weights = jnp.sum(jnp.where(hits, jnp.broadcast_to(class_weights, hits.shape), 0), axis=-1)
        weights = jnp.where(in_range, weights, jnp.nan)
    if ignore_label is None:
        return weights
    return jnp.where(is_label(labels, ignore_label, name="ignore_label"), 0, weights)
