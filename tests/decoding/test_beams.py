import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fjdl.decoding import average_penalty, beam_search, greedy, length_penalty
from tests.decoding.models import K, log_softmax, recurrent, start

MEMORY = np.random.default_rng(2).standard_normal((2, K)).astype(np.float32) + np.float32([0, 0, 0, -1])
PROMPT = np.array([[1, 2], [2, 7]], np.int32)  # the second has one token
LENGTHS = np.array([2, 1], np.int32)
LENGTH, END = 4, 3


def every_sequence() -> Iterator[tuple[int, ...]]:
    """Those that end, and those that are as long as may be."""
    inner = [token for token in range(K) if token != END]
    for length in range(1, LENGTH + 1):
        for tokens in itertools.product(inner, repeat=length - 1):
            yield (*tokens, END)
    yield from itertools.product(inner, repeat=LENGTH)


def scored(row: int, divisor: Any) -> list[tuple[float, tuple[int, ...]]]:
    """All sequences behind a prompt by full forward passes, the best first."""
    _, forward = recurrent(5)
    prompt = [*PROMPT[row, : LENGTHS[row]]]
    found = []
    for tokens in every_sequence():
        log_p = log_softmax(forward([*prompt, *tokens[:-1]], MEMORY[row]))[len(prompt) - 1 :]
        found.append((log_p[np.arange(len(tokens)), tokens].sum() / divisor(len(tokens)), tokens))
    return sorted(found, reverse=True)


PENALTIES = {
    "sum": (lambda lengths: jnp.ones_like(lengths), lambda length: 1.0),
    "wu": (partial(length_penalty, alpha=1.5), lambda length: ((5 + length) / 6) ** 1.5),
    "average": (average_penalty, lambda length: float(length)),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_a_wide_beam_finds_the_best_of_all_sequences(name: str) -> None:
    step, _ = recurrent(5)
    penalty, divisor = PENALTIES[name]
    search = jax.jit(
        lambda memory, prompt, lengths: beam_search(
            step, start(memory), prompt, lengths, beams=27, length=LENGTH, end=END, best=7, penalty=penalty
        )
    )
    decoded = search(MEMORY, PROMPT, LENGTHS)
    for row in range(2):
        for place, (score, tokens) in enumerate(scored(row, divisor)[:7]):
            np.testing.assert_allclose(decoded.scores[row, place], score, rtol=1e-5)
            assert decoded.tokens[row, place].tolist() == [*tokens] + [0] * (LENGTH - len(tokens))
            assert decoded.lengths[row, place] == len(tokens)
    if name == "wu":
        mesh = Mesh(np.array(jax.devices()[:2]), "data")
        inside = jax.shard_map(search, mesh=mesh, in_specs=PartitionSpec("data"), out_specs=PartitionSpec("data"))
        np.testing.assert_array_equal(inside(MEMORY, PROMPT, LENGTHS).tokens, decoded.tokens)
        spread = search(*jax.device_put((MEMORY, PROMPT, LENGTHS), NamedSharding(mesh, PartitionSpec("data"))))
        np.testing.assert_array_equal(spread.tokens, decoded.tokens)
        one = jax.jit(jax.vmap(lambda m, p, n: search(m[None], p[None], n[None])))(MEMORY, PROMPT, LENGTHS)
        np.testing.assert_array_equal(one.tokens[:, 0], decoded.tokens)


def from_table(table: Any) -> Any:
    """A step whose probabilities depend on the last token alone."""

    def step(state: Any, tokens: Any) -> Any:
        return jnp.log(jnp.asarray(table, jnp.float32))[tokens], {"fed": state["fed"] + 1}

    return step


# From 0 the token 1 has 0.6 and 2 has 0.4; behind 1 all are equal, behind 2 the end (3) has 0.9: 0.4 · 0.9 = 0.36 beats
# 0.6 · 0.25 = 0.15, which the best first token leads to.
GARDEN_PATH = [[0.0, 0.6, 0.4, 0.0], [0.25] * 4, [0.1, 0.0, 0.0, 0.9], [0.25] * 4]


def test_the_best_first_token_is_not_always_that_of_the_best_sequence() -> None:
    step, state, prompt = from_table(GARDEN_PATH), {"fed": jnp.zeros((), int)}, jnp.array([[0]])
    eager = greedy(step, state, prompt, length=2, end=3)
    assert (eager.tokens.tolist(), eager.lengths.tolist()) == ([[1, 0]], [2])
    np.testing.assert_allclose(jnp.exp(eager.scores), [0.15], rtol=1e-6)
    two = jax.jit(partial(beam_search, step, beams=2, length=2, end=3, best=2))(state, prompt)
    assert two.tokens.tolist() == [[[2, 3], [1, 3]]]  # the ended one stays before unfinished ones of equal score
    np.testing.assert_allclose(jnp.exp(two.scores), [[0.36, 0.15]], rtol=1e-6)
    one = jax.jit(partial(beam_search, step, beams=1, length=2, end=3))(state, prompt)
    np.testing.assert_allclose(jnp.exp(one.scores), [[0.15]], rtol=1e-6)


def test_the_search_stops_when_nothing_can_win_any_more_and_hands_on_what_is_untouched() -> None:
    fed: list[int] = []

    def step(state: Any, tokens: Any) -> Any:
        jax.debug.callback(lambda tokens: fed.append(tokens.size), tokens)
        return jnp.log(jnp.array([[0.05, 0.05, 0.0, 0.9]])) + 0 * state["memory"][:, :4], state

    state, prompt = {"memory": jnp.zeros((2, 77))}, jnp.zeros((2, 1), int)
    search = jax.jit(lambda state: beam_search(step, state, prompt, beams=2, length=50, end=3))
    text = search.lower(state).as_text()
    decoded = search(state)
    jax.effects_barrier()
    assert fed == [4]  # 0.1 of the rest cannot reach 0.9
    assert decoded.tokens[:, 0, 0].tolist() == [3, 3]
    gathers = [line for line in text.splitlines() if "stablehlo.gather" in line]
    assert gathers
    assert not [line for line in gathers if "x77xf32" in line]


def test_lists_with_fewer_sequences_and_with_nan_say_so() -> None:
    state = jnp.log(jnp.array([[0.0, 0.0, 1.0, 0.0], [0.1, jnp.nan, 0.0, 0.4], [0.25, 0.25, 0.25, 0.25]]))

    def step(state: Any, tokens: Any) -> Any:
        return state.astype(jnp.bfloat16), state

    prompt = jnp.zeros((3, 1), int)
    endless = jax.jit(partial(beam_search, step, beams=2, length=2))(state, prompt)
    assert np.isnan(endless.scores[1, 0])
    assert endless.tokens[0].tolist() == [[2, 2]]
    decoded = jax.jit(partial(beam_search, step, beams=3, length=2, end=3, best=3))(state, prompt)
    assert decoded.tokens[0].tolist() == [[2, 2], [0, 0], [0, 0]]
    assert decoded.lengths[0].tolist() == [2, 0, 0]
    np.testing.assert_array_equal(decoded.scores[0], [0, -np.inf, -np.inf])
    assert np.isnan(decoded.scores[1, 0])
    np.testing.assert_allclose(jnp.exp(decoded.scores[2]), [0.25, 1 / 16, 1 / 16], rtol=1e-6)
    assert decoded.scores.dtype == jnp.float32


def test_an_open_number_of_prompts_can_be_exported() -> None:
    step, _ = recurrent(5)

    def search(memory: Any, prompt: Any) -> Any:
        return beam_search(step, start(memory), prompt, beams=2, length=3, end=END, penalty=average_penalty)

    n = jax.export.symbolic_shape("n")[0]
    shapes = jax.ShapeDtypeStruct((n, K), jnp.float32), jax.ShapeDtypeStruct((n, 1), jnp.int32)
    exported = jax.export.export(jax.jit(search))(*shapes)
    arguments = MEMORY, PROMPT[:, :1]
    np.testing.assert_array_equal(exported.call(*arguments).tokens, jax.jit(search)(*arguments).tokens)


def test_what_makes_no_sense_is_refused() -> None:
    step, _ = recurrent(5)
    search = partial(beam_search, step, start(MEMORY), PROMPT)
    with pytest.raises(ValueError, match=r"^best must be at most the number of beams, 2, got 3$"):
        search(beams=2, best=3, length=2)
    with pytest.raises(ValueError, match=r"^beams must be at least 1, got 0$"):
        search(beams=0, length=2)
    with pytest.raises(ValueError, match=r"^penalty must give a number for each length, got shape \(\) for 2 lengths$"):
        search(beams=2, length=2, penalty=lambda lengths: jnp.ones(()))
    with pytest.raises(ValueError, match=r"^penalty must be positive for each length, got -2\.0 for one$"):
        search(beams=2, length=2, penalty=lambda lengths: -lengths)
    with pytest.raises(ValueError, match=r"^step must return a pair of logits and state, got"):
        beam_search(lambda state, tokens: step(state, tokens)[0], start(MEMORY), PROMPT, beams=2, length=2)


def test_an_improbable_end_may_win_over_what_greedy_finds() -> None:
    p = np.array([0.055, 0.015, 0.55, 0.38], np.float32)  # token 1 ends

    def step(state: Any, tokens: Any) -> Any:
        return jnp.broadcast_to(jnp.log(p), (tokens.shape[0], 4)), state

    prompt = jnp.zeros((1, 1), jnp.int32)
    assert greedy(step, (), prompt, length=12, end=1).tokens.tolist() == [[2] * 12]
    found = beam_search(step, (), prompt, beams=1, length=12, end=1)
    assert found.lengths.tolist() == [[1]]
    np.testing.assert_allclose(found.scores, [[np.log(0.015)]], rtol=1e-5)  # above 12 ln 0.55 = -7.17
    averaged = beam_search(step, (), prompt, beams=1, length=12, end=1, penalty=average_penalty)
    assert averaged.tokens.tolist() == [[[2] * 12]]


def test_no_prompts_have_no_answers() -> None:
    step, _ = recurrent(5)
    none = beam_search(step, start(MEMORY[:0]), PROMPT[:0], beams=2, length=3, best=2)
    assert none.tokens.shape == (0, 2, 3)
