"""Perplexity of language models."""

import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.metrics.base import Metric, Weights, streaming, then
from fjdl.metrics.state.mean import MeanState, mean
from fjdl.numerics import log_softmax, signed, widened
from fjdl.typing import Array, Float, Integer, typed


@streaming("measure(perplexity(), logits, labels)")
def perplexity() -> Metric:
    """Exponential of the mean negative log-likelihood per token, `exp(-1/n Σ log softmax(logits)[label])`, at least 1.

    `update(state, logits, labels, weights=None)` with `logits` of shape `[*batch, t, k]` in any float dtype, computed
    in float32. The sum over tokens, in nats, and their exact number are kept and divided once, so that batches and
    sentences of any lengths give the perplexity of the whole text. Tokens of weight zero do not count.
    A label of probability 0 gives inf. A label outside [0, k), a NaN, or logits that are all -inf give NaN if the token
    counts, as does no token at all. Equals `exp` of `torch.nn.functional.cross_entropy` over the tokens that count.
    """
    running = mean()

    @typed
    def update(
        state: MeanState,
        logits: Float[Array, "*batch k"],
        labels: Integer[Array, "*batch"],
        weights: Weights = None,
    ) -> MeanState:
        return running.update(state, token_surprisal(logits, labels), weights=weights)

    return then(running._replace(update=update), jnp.exp)


@typed
@fused
def token_surprisal(logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Negative log-likelihood of each token, in nats: `log Σ exp logits - logits[label]`, in [0, inf].

    NaN for a label outside [0, k) and where all logits are -inf; a logit of inf takes all probability.
    Equals `torch.nn.functional.cross_entropy(reduction="none")` of finite logits.
    """
    log_p, label = log_softmax(widened(logits), -1), signed(labels)[..., None]
    is_label = jnp.arange(logits.shape[-1], dtype=label.dtype).reshape([1] * labels.ndim + [-1]) == label
    surprisal = -jnp.sum(jnp.where(is_label, log_p, 0), axis=-1)
    defined = jnp.any(is_label, axis=-1) & ~jnp.all(logits == -jnp.inf, axis=-1)
    return jnp.where(defined, surprisal, jnp.nan)
