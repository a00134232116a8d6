"""What all ways of decoding share: the step of a model, the prompts it is fed first, and what comes out."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.numerics import signed
from fjdl.typing import Array, Integer

NextToken = Callable[[Any, Any], tuple[Any, Any]]  # (state, tokens [n]) -> (logits [n, k], state)


class Decoded(NamedTuple):
    """Sequences that were generated behind their prompts."""

    tokens: Array  # int32 [n, length], or [n, best, length] of a beam search; the pad token behind the end
    lengths: Array  # int32 [n], or [n, best]: how many tokens, the end token included
    scores: Array  # float32 [n], or [n, best]: the sum of the tokens' log probabilities, or what a penalty makes of it


class Prompts(NamedTuple):
    """Tokens that are fed before any is chosen, and how many of each row count."""

    tokens: Array  # int32 [n, p]
    lengths: Array  # int32 [n], from 1 to p

    def after(self, number: Array) -> Array:
        """The token of each row's prompt behind that at place `number`, int32 [n]; the last one where it has ended."""
        place = jnp.minimum(number + 1, self.tokens.shape[1] - 1)
        return jax.lax.dynamic_index_in_dim(self.tokens, place, axis=1, keepdims=False)

    def done(self, number: Array) -> Array:
        """How many tokens each row has generated behind its prompt once the one at `number` was fed; below 1, none."""
        return number - self.lengths + 2


def prompts_of(tokens: Array, lengths: Array | None) -> Prompts:
    """The prompts, checked; a length below 1 counts as 1, one beyond p as p."""
    if not tokens.shape[1]:
        raise ValueError(f"prompt must hold at least one token for each sequence, got shape {tokens.shape}")
    tokens = signed(tokens, name="prompt").astype(jnp.int32)
    if lengths is None:
        return Prompts(tokens, jnp.full(tokens.shape[:1], tokens.shape[1], jnp.int32))
    return Prompts(tokens, jnp.clip(signed(lengths, name="lengths"), 1, tokens.shape[1]).astype(jnp.int32))


def vocabulary(
    step: NextToken, state: Any, rows: Integer[Array, " n"], *, length: int, end: int | None, pad: int
) -> int:
    """How many tokens the step gives logits for.

    Raises `ValueError` for options that make no sense with it, for logits of another shape than [n, k], and for a step
    that returns another kind of state than it gets.
    """
    at_least(1, length=length)
    given = jax.eval_shape(step, state, rows)
    if not isinstance(given, tuple) or len(given) != 2:
        raise ValueError(f"step must return a pair of logits and state, got {given}")
    logits, after = given
    if len(logits.shape) != 2 or logits.shape[0] != rows.shape[0] or not logits.shape[1]:
        raise ValueError(f"step must give logits [n, k] for {rows.shape[0]} tokens, got shape {logits.shape}")
    before = jax.eval_shape(lambda state: state, state)
    if kinds(before) != kinds(after):
        raise ValueError(f"step must return a state of the shapes and dtypes that it got, got {after} for {before}")
    for name, token in (("end", end), ("pad", pad)):
        if token is not None and not 0 <= token < logits.shape[1]:
            raise ValueError(f"{name} must lie in [0, {logits.shape[1]}), got {token}")
    return logits.shape[1]


def kinds(tree: Any) -> Any:
    """The structure of a tree, and shapes and dtypes of its leaves."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]
