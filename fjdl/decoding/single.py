"""One sequence for each prompt: by the best token each time, or by chance."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.decoding.filters import repetition_penalty, tempered
from fjdl.decoding.prompts import Decoded, NextToken, Prompts, prompts_of, vocabulary
from fjdl.meshes import while_loop
from fjdl.numerics import log_softmax
from fjdl.typing import Array, Integer, Number, PRNGKey, typed

Filter = Callable[[Array], Array]
Choose = Callable[[Array, Any, Array], Array]  # of logits [n, k], what was seen, and how many tokens there are now


@typed
def greedy(
    step: NextToken,
    state: Any,
    prompt: Integer[Array, "n p"],
    lengths: Integer[Array, " n"] | None = None,
    *,
    length: int,
    end: int | None = None,
    pad: int = 0,
) -> Decoded:
    """Behind each prompt the most probable token, again and again, the one of lowest number among equals.

    `lengths` are the numbers of tokens of the prompts, by default p; what stands behind them changes nothing. At most
    `length` tokens come, the last of them `end` where a sequence ends before, and `pad` after it. `scores` are the sums
    of their log probabilities in float32 whatever the dtype of the logits. Logits with a NaN make the score NaN.
    """
    start = prompts_of(prompt, lengths)
    vocabulary(step, state, start.lengths, length=length, end=end, pad=pad)
    return _generated(step, state, start, lambda logits, *_: jnp.argmax(logits, axis=-1), (), length, end, pad)


@typed
def sample(
    key: PRNGKey,
    step: NextToken,
    state: Any,
    prompt: Integer[Array, "n p"],
    lengths: Integer[Array, " n"] | None = None,
    *,
    length: int,
    temperature: Number = 1.0,
    filters: Sequence[Filter] = (),
    repetition: Number | None = None,
    end: int | None = None,
    pad: int = 0,
) -> Decoded:
    """As `greedy`, with each token drawn from softmax(logits), by default as probable as the model says.

    The logits go through `repetition_penalty` for tokens that stand in the prompt or behind it, `tempered`, and
    `filters` in their order, such as `partial(top_k, count=40)` and `partial(top_p, mass=0.9)`; temperature 0 is
    greedy. `scores` are log probabilities by the model itself. What is drawn depends on the key, the number of the row
    and the place behind the prompt, and neither on other rows nor on padding. Logits with a NaN make the score NaN.
    """
    start = prompts_of(prompt, lengths)
    size = vocabulary(step, state, start.lengths, length=length, end=end, pad=pad)
    n = start.tokens.shape[0]
    rows = jax.vmap(jax.random.fold_in, (None, 0))(key, jax.lax.broadcasted_iota(jnp.uint32, (n,), 0))

    def draw(logits: Array, seen: Array, done: Array) -> Array:
        if repetition is not None:
            logits = repetition_penalty(logits, seen, penalty=repetition)
        logits = tempered(logits, temperature=temperature)
        for change in filters:
            logits = change(logits)
        places = jnp.maximum(done, 1)
        return jax.vmap(lambda key, place, row: jax.random.categorical(jax.random.fold_in(key, place), row))(
            rows, places, logits
        )

    seen = () if repetition is None else jnp.zeros((n, size), bool)
    return _generated(step, state, start, draw, seen, length, end, pad)


class _Loop(NamedTuple):
    """What goes from step to step."""

    number: Array  # of the token that is fed next, from 0
    state: Any
    fed: Array  # [n]
    tokens: Array  # [p + length - 1, n]: what was chosen behind each token that was fed
    lengths: Array  # [n]: tokens generated
    scores: Array  # [n]
    live: Array  # bool [n]: not ended
    seen: Any  # bool [n, k] where repetitions count


def _generated(
    step: NextToken, state: Any, prompts: Prompts, choose: Choose, seen: Any, length: int, end: int | None, pad: int
) -> Decoded:
    n, p = prompts.tokens.shape
    numbers, zeros = jax.lax.iota(jnp.int32, length), jnp.zeros_like(prompts.lengths)

    def body(loop: _Loop) -> _Loop:
        logits, state = step(loop.state, loop.fed)
        logits, seen, done = logits.astype(jnp.float32), loop.seen, prompts.done(loop.number)
        if not isinstance(seen, tuple):
            seen = seen | (jax.lax.broadcasted_iota(jnp.int32, seen.shape, 1) == loop.fed[:, None])
        chosen = choose(logits, seen, done).astype(jnp.int32)
        counts = loop.live & (done > 0)
        score = jnp.take_along_axis(log_softmax(logits, -1), chosen[:, None], axis=-1)[:, 0]
        chosen = jnp.where(counts, chosen, pad)
        live = loop.live & (done < length)
        return _Loop(
            loop.number + 1,
            state,
            jnp.where(done > 0, chosen, prompts.after(loop.number)),
            jax.lax.dynamic_update_index_in_dim(loop.tokens, chosen, loop.number, axis=0),
            loop.lengths + counts.astype(jnp.int32),
            loop.scores + jnp.where(counts, score, 0),
            live if end is None else live & ~(counts & (chosen == end)),
            seen,
        )

    start = _Loop(
        jnp.zeros((), jnp.int32),
        jax.tree.map(jnp.asarray, state),
        prompts.tokens[:, 0],
        jnp.full((p + length - 1, n), pad, jnp.int32),
        zeros,
        zeros.astype(jnp.float32),
        zeros == 0,
        seen,
    )
    end_of_loop = while_loop(lambda loop: jnp.any(loop.live), body, start)
    places = (prompts.lengths - 1)[:, None] + numbers[None]
    tokens = jnp.take_along_axis(end_of_loop.tokens.T, places, axis=1)
    return Decoded(tokens, end_of_loop.lengths, end_of_loop.scores)
