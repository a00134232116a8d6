"""Losses that learn embeddings of words, one value per pair."""

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Bool, Float, Num, Number, typed


@typed
@fused
def skipgram_negative_sampling_loss(
    center: Float[Array, "*batch d"], context: Float[Array, "*batch d"], negatives: Float[Array, "*batch n d"]
) -> Float[Array, "*batch"]:
    """Logistic loss of a word with its context against n drawn words: `-log σ(c·o) - Σᵢ log σ(-c·nᵢ)`, in nats.

    `center` are rows of the input embedding, `context` and `negatives` of the output embedding; negatives are drawn
    from the counts of words to the power 3/4. Exact for large products, without clipping.
    Mikolov et al. 2013, arXiv:1310.4546, eq. 4, with the sign of a loss.
    """
    center, context, negatives = widened(center), widened(context), widened(negatives)
    hit = jnp.sum(center * context, axis=-1)
    misses = jnp.sum(center[..., None, :] * negatives, axis=-1)
    return jax.nn.softplus(-hit) + jnp.sum(jax.nn.softplus(misses), axis=-1)


@typed
@fused
def cbow_negative_sampling_loss(
    contexts: Float[Array, "*batch w d"],
    counted: Bool[Array, "*batch w"],
    center: Float[Array, "*batch d"],
    negatives: Float[Array, "*batch n d"],
) -> Float[Array, "*batch"]:
    """Logistic loss of the mean of a word's contexts with the word against n drawn ones, in nats.

    `-log σ(h·c) - Σᵢ log σ(-h·nᵢ)` with `h` the mean of the `contexts` that `counted` selects. `contexts` are rows of
    the input embedding, `center` and `negatives` of the output embedding. What is not counted reaches neither value nor
    gradient, NaN included; where nothing is, `h` is 0 and the loss (n + 1) log 2.
    Mikolov et al. 2013, arXiv:1301.3781, section 3.1, with the objective of arXiv:1310.4546, eq. 4.
    """
    kept = jnp.where(counted[..., None], widened(contexts), 0)
    number = jnp.sum(counted, axis=-1, keepdims=True).astype(kept.dtype)
    hidden = safe_divide(jnp.sum(kept, axis=-2), number)
    return skipgram_negative_sampling_loss(hidden, widened(center), widened(negatives))


@typed
@fused
def glove_loss(
    w: Float[Array, "*batch d"],
    w_context: Float[Array, "*batch d"],
    b: Float[Array, "*batch"],
    b_context: Float[Array, "*batch"],
    counts: Num[Array, "*batch"],
    *,
    x_max: Number = 100.0,
    alpha: Number = 0.75,
) -> Float[Array, "*batch"]:
    """Weighted squared error of the logarithm of a count: `min(1, (X / x_max)^α) · (w·w̃ + b + b̃ - ln X)²`.

    X counts how often the two words occur together; where it is 0 or below the loss is 0 with zero gradient.
    Pennington et al. 2014, eq. 8 and 9.
    """
    within("(0, inf)", x_max=x_max, alpha=alpha)
    counts = widened(counts)
    seen = counts > 0
    x = jnp.where(seen, counts, 1)
    weight = jnp.where(seen, jnp.minimum(1, x / x_max) ** alpha, 0)
    product = jnp.sum(widened(w) * widened(w_context), axis=-1)
    return weight * jnp.square(product + widened(b) + widened(b_context) - jnp.log(x))
