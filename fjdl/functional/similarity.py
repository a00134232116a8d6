"""Similarities and distances of vectors, which are the last axis, computed in float32 and in the dtype of the first."""

import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.numerics import full_product, norm, unit, widened
from fjdl.typing import Array, Float, typed


@typed
@fused
def cosine_similarity(x: Float[Array, "*batch d"], y: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Cosine of the angle between the vectors of each pair, in [-1, 1] up to rounding: `x·y / (|x| |y|)`.

    0 with zero gradient where either is the zero vector. Vectors are scaled before they are squared, so entries of
    1e25 and 1e-25 lose nothing; an infinite entry gives NaN. Equals `torch.nn.functional.cosine_similarity(dim=-1)`.

    >>> cosine_similarity(jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0]]))
    Array([0.], dtype=float32)
    """
    return jnp.sum(unit(widened(x)) * unit(widened(y)), axis=-1).astype(x.dtype)


@typed
@fused
def cosine_similarities(x: Float[Array, "*batch n d"], y: Float[Array, "*batch m d"]) -> Float[Array, "*batch n m"]:
    """`cosine_similarity` of each row of `x` with each row of `y`, as one matrix product.

    Equals `sklearn.metrics.pairwise.cosine_similarity`.

    >>> cosine_similarities(jnp.array([[1.0, 0.0], [0.0, 1.0]]), jnp.array([[0.0, 2.0]]))
    Array([[0.],
           [1.]], dtype=float32)
    """
    return full_product(unit(widened(x)), jnp.matrix_transpose(unit(widened(y)))).astype(x.dtype)


@typed
@fused
def euclidean_distance(x: Float[Array, "*batch d"], y: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
    """Distance of the vectors of each pair, at least 0, in the units of their entries: `|x - y|`.

    The gradient of a distance of 0 is 0. Squares neither overflow at 1e30 nor vanish at 1e-30. Equals
    `torch.nn.functional.pairwise_distance(eps=0)`.

    >>> euclidean_distance(jnp.array([[0.0, 0.0]]), jnp.array([[3.0, 4.0]]))
    Array([5.], dtype=float32)
    """
    return norm(widened(x) - widened(y))[..., 0].astype(x.dtype)


@typed
@fused
def euclidean_distances(x: Float[Array, "*batch n d"], y: Float[Array, "*batch m d"]) -> Float[Array, "*batch n m"]:
    """`euclidean_distance` of each row of `x` from each row of `y`.

    It sums squared differences and no products, so the distance of near points keeps its digits and that of a row from
    itself is exactly 0, with zero gradient. Equals `torch.cdist` without matrix products.

    >>> euclidean_distances(jnp.array([[0.0, 0.0], [3.0, 0.0]]), jnp.array([[3.0, 4.0]]))
    Array([[5.],
           [4.]], dtype=float32)
    """
    differences = widened(x)[..., :, None, :] - widened(y)[..., None, :, :]
    return norm(differences)[..., 0].astype(x.dtype)
