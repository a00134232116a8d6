"""Connectionist temporal classification."""

from functools import partial, reduce

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.lengths import length_mask
from fjdl.losses.labels import nan_unless
from fjdl.meshes import scan
from fjdl.numerics import log_softmax, signed, widened
from fjdl.typing import Array, Bool, Float, Integer, Shaped, typed


@typed
@fused
def ctc_loss(
    logits: Float[Array, "*batch t k"],
    logit_lengths: Integer[Array, "*batch"],
    labels: Integer[Array, "*batch s"],
    label_lengths: Integer[Array, "*batch"],
    *,
    blank: int = 0,
) -> Float[Array, "*batch"]:
    """Minus the log-probability of a label sequence, in nats, over all its alignments π: `-ln Σ_π Π_t p_t(π_t)`.

    An alignment π names a class for each of the first `logit_lengths` steps; merging repeats and then dropping blanks
    leaves the first `label_lengths` labels. What is padded reaches neither value nor gradient.

    Labels that no alignment yields, because they and the blanks between repeats need more steps than there are, or
    because of logits of -inf, cost inf with zero gradient: `mean(values, mask=jnp.isfinite(values))` leaves them out.
    An empty label sequence costs what blanks alone cost; without steps it costs 0. A length outside of its array gives
    its example NaN value and gradient, as does a label that counts and is the blank or outside of [0, k).
    Graves et al. 2006. Equals `torch.nn.functional.ctc_loss(reduction="none")` of log-probabilities, in value and
    gradient of the logits; where PyTorch has NaN gradients of an infinite loss they are 0 here.
    """
    t, k = logits.shape[-2:]
    if not 0 <= blank < k:
        raise ValueError(f"blank must lie in [0, {k}), got {blank}")
    logits, labels = widened(logits), signed(labels)
    logit_lengths, label_lengths = signed(logit_lengths), signed(label_lengths)
    inside = length_mask(label_lengths, steps=labels.shape[-1])
    proper = (labels >= 0) & (labels < k) & (labels != blank)
    valid = jnp.all(proper | ~inside, axis=-1) & _within(label_lengths, labels.shape[-1]) & _within(logit_lengths, t)
    labels = jnp.where(proper & inside, labels, blank)
    logits = jnp.where(length_mask(logit_lengths, steps=t)[..., None], logits, 0)
    likelihood = jnp.vectorize(partial(_log_likelihood, blank), signature="(t,k),(),(s),()->()")
    return nan_unless(valid, -likelihood(logits, logit_lengths, labels, label_lengths))


def _within(lengths: Integer[Array, "*batch"], limit: int) -> Bool[Array, "*batch"]:
    return (lengths >= 0) & (lengths <= limit)


def _log_likelihood(
    blank: int,
    logits: Float[Array, "t k"],
    steps: Integer[Array, ""],
    labels: Integer[Array, "s"],
    length: Integer[Array, ""],
) -> Float[Array, ""]:
    """`ln p(labels)` by the forward recursion in log space; its states are blank, label 1, blank, …, label s, blank."""
    log_p = log_softmax(logits, -1)
    symbols = jnp.take(log_p, labels, axis=1, mode="clip")
    emissions = _interleave(jnp.broadcast_to(log_p[:, blank : blank + 1], (len(log_p), labels.size + 1)), symbols)
    differs = jnp.concatenate([jnp.zeros(1, bool), labels[1:] != labels[:-1]])[: labels.size]
    skips = _interleave(jnp.zeros((1, labels.size + 1), bool), differs[None])[0]

    def step(states: Array, inputs: tuple[Array, Array]) -> tuple[Array, None]:
        time, emission = inputs
        before = _shift(states)
        moved = _log_add(states, before, jnp.where(skips, _shift(before), -jnp.inf)) + emission
        return jnp.where(time < steps, moved, states), None

    start = jnp.where(jnp.arange(skips.size) == 0, jnp.zeros_like(log_p, shape=()), -jnp.inf)
    states, _ = scan(step, start, (jnp.arange(len(log_p)), emissions))
    return _log_add(states, _shift(states))[2 * length]


def _interleave(blanks: Shaped[Array, "t s_plus_1"], symbols: Shaped[Array, "t s"]) -> Shaped[Array, "t states"]:
    """Columns blank, label 1, blank, …, label s, blank."""
    pairs = jnp.stack([blanks[:, :-1], symbols], axis=-1).reshape(len(symbols), 2 * symbols.shape[1])
    return jnp.concatenate([pairs, blanks[:, -1:]], axis=1)


def _shift(states: Float[Array, "n"]) -> Float[Array, "n"]:
    """`states` moved up by one place, behind the log of probability 0."""
    return jnp.concatenate([jnp.full_like(states, -jnp.inf, shape=1), states[:-1]])


def _log_add(*terms: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`ln Σ exp(terms)`; -inf with zero gradient where all are -inf."""
    largest = jax.lax.stop_gradient(reduce(jnp.maximum, terms))
    largest = jnp.where(jnp.isneginf(largest), 0, largest)
    total = sum(jnp.exp(term - largest) for term in terms)
    return jnp.where(total == 0, -jnp.inf, largest + jnp.log(jnp.where(total == 0, 1, total)))
