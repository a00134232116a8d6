from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from scipy.stats import chisquare

from fjdl.decoding import greedy, sample, top_k
from tests.decoding.models import K, log_softmax, recurrent, start
from tests.support import count_traces

MEMORY = np.random.default_rng(1).standard_normal((4, K)).astype(np.float32)
PROMPT = np.array([[1, 2, 1], [2, 9, 9], [1, 1, -5], [0, 2, 2]], np.int32)  # what stands behind a length is no token
LENGTHS = np.array([3, 1, 2, 3], np.int32)
LENGTH, END = 5, 3


def by_hand(choose: Any) -> list[list[int]]:
    """Sequences by the naive loop: the whole prefix again for each token."""
    _, forward = recurrent()
    found = []
    for row, (prompt, length) in enumerate(zip(PROMPT, LENGTHS, strict=True)):
        tokens: list[int] = []
        while len(tokens) < LENGTH and END not in tokens:
            tokens.append(int(choose(forward([*prompt[:length], *tokens], MEMORY[row])[-1])))
        found.append(tokens)
    return found


def score(row: int, tokens: Any) -> float:
    _, forward = recurrent()
    whole = [*PROMPT[row, : LENGTHS[row]], *tokens]
    log_p = log_softmax(forward(whole[:-1], MEMORY[row]))[LENGTHS[row] - 1 :]
    return float(log_p[np.arange(len(tokens)), tokens].sum())


@pytest.mark.by_day_on_pin(0)
def test_the_best_token_is_that_of_the_naive_loop_with_its_score_and_padding() -> None:
    step, _ = recurrent()
    decode = jax.jit(
        lambda memory, prompt, lengths: greedy(step, start(memory), prompt, lengths, length=LENGTH, end=END)
    )
    decoded = decode(MEMORY, PROMPT, LENGTHS)
    expected = by_hand(np.argmax)
    assert {len(tokens) for tokens in expected} > {LENGTH}  # some end
    for row, tokens in enumerate(expected):
        assert int(decoded.lengths[row]) == len(tokens)
        assert decoded.tokens[row].tolist() == tokens + [0] * (LENGTH - len(tokens))
        np.testing.assert_allclose(decoded.scores[row], score(row, tokens), rtol=1e-5)
    # each prompt alone, on a mesh, and at temperature 0 the same
    alone = jax.vmap(lambda m, p, n: greedy(step, start(m[None]), p[None], n[None], length=LENGTH, end=END))
    for one in jax.tree.leaves(
        jax.tree.map(lambda a, b: np.array_equal(a[:, 0], b), alone(MEMORY, PROMPT, LENGTHS)[:2], decoded[:2])
    ):
        assert one
    sharding = NamedSharding(Mesh(np.array(jax.devices()[:4]), "data"), PartitionSpec("data"))
    spread = decode(*jax.device_put((MEMORY, PROMPT, LENGTHS), sharding))
    np.testing.assert_array_equal(spread.tokens, decoded.tokens)
    cold = sample(
        jax.random.key(0), step, start(MEMORY), PROMPT, LENGTHS, length=LENGTH, end=END, temperature=0.0,
        filters=[partial(top_k, count=3)],
    )  # fmt: skip
    np.testing.assert_array_equal(cold.tokens, decoded.tokens)
    np.testing.assert_allclose(cold.scores, decoded.scores, rtol=1e-6)


def test_the_loop_ends_with_the_last_sequence_and_a_second_call_compiles_nothing() -> None:
    fed: list[int] = []

    def step(state: Any, tokens: Any) -> Any:
        jax.debug.callback(lambda tokens: fed.append(tokens.tolist()), tokens)
        return 9 * jax.nn.one_hot(tokens + 1, K), state

    decode, traces = count_traces(lambda prompt: greedy(step, (), prompt, length=100, end=END))
    for prompt in ([[0], [2]], [[1], [1]]):
        fed.clear()
        jax.block_until_ready(decode(jnp.array(prompt)))
        jax.effects_barrier()
        assert len(fed) == END - min(prompt)[0]
    assert len(traces) == 1


def test_logits_in_bfloat16_are_scored_in_float32_and_nan_is_seen_in_the_score() -> None:
    rows = jnp.array([[1.0, 2.0, 0.0], [0.5, 0.25, 1.5], [jnp.nan, 0.0, 1.0], [-jnp.inf, -jnp.inf, 0.0]])

    def step(state: Any, tokens: Any) -> Any:
        return state.astype(jnp.bfloat16), state

    for decoded in (
        greedy(step, rows, jnp.zeros((4, 1), int), length=2),
        sample(jax.random.key(0), step, rows, jnp.zeros((4, 1), int), length=2, temperature=1e-3),
    ):
        assert decoded.scores.dtype == jnp.float32
        assert decoded.tokens[:2].tolist() == [[1, 1], [2, 2]]
        np.testing.assert_allclose(decoded.scores[:2], 2 * log_softmax(np.asarray(rows[:2])).max(-1), rtol=1e-6)
        assert np.isnan(decoded.scores[2])
        assert decoded.tokens[3].tolist() == [2, 2]
        assert decoded.scores[3] == 0


@pytest.mark.by_day_on_pin(1)
def test_tokens_are_drawn_as_often_as_they_are_probable_whatever_the_prompts_length() -> None:
    p = np.array([0.5, 0.3, 0.15, 0.05])

    def step(state: Any, tokens: Any) -> Any:
        return jnp.broadcast_to(jnp.log(jnp.asarray(p, jnp.float32)), (*tokens.shape, 4)), state

    n, key = 1000, jax.random.key(3)
    draw = jax.jit(lambda prompt, lengths, t: sample(key, step, (), prompt, lengths, length=4, temperature=t))
    decoded = draw(jnp.zeros((n, 3), int), jnp.full(n, 3), 1.0)
    counts = np.bincount(np.asarray(decoded.tokens).ravel(), minlength=4)
    assert chisquare(counts, 4 * n * p).pvalue > 0.01
    pairs = np.bincount(np.asarray(decoded.tokens[:, 0] * 4 + decoded.tokens[:, 1]), minlength=16)
    assert chisquare(pairs, n * np.outer(p, p).ravel()).pvalue > 0.01  # places are independent
    np.testing.assert_array_equal(draw(jnp.zeros((n, 3), int), jnp.arange(n) % 3 + 1, 1.0).tokens, decoded.tokens)
    hot = np.bincount(np.asarray(draw(jnp.zeros((n, 3), int), jnp.full(n, 3), 2.0).tokens).ravel(), minlength=4)
    assert chisquare(hot, 4 * n * np.sqrt(p) / np.sqrt(p).sum()).pvalue > 0.01
    np.testing.assert_allclose(decoded.scores, np.log(p)[np.asarray(decoded.tokens)].sum(-1), rtol=1e-5)


def test_a_penalty_of_repetitions_sees_the_prompt_and_what_came_behind_it() -> None:
    def step(state: Any, tokens: Any) -> Any:
        return jnp.broadcast_to(jnp.array([1.0, 4.0, 3.0, 2.0]), (*tokens.shape, 4)), state

    decoded = sample(jax.random.key(0), step, (), jnp.array([[1], [3]]), length=3, temperature=0, repetition=100.0)
    assert decoded.tokens.tolist() == [[2, 3, 0], [1, 2, 0]]


def test_what_makes_no_sense_is_refused_in_one_sentence() -> None:
    step, _ = recurrent()
    decode = partial(greedy, step, start(MEMORY[:1]))
    with pytest.raises(
        ValueError, match=r"^prompt must hold at least one token for each sequence, got shape \(1, 0\)$"
    ):
        decode(jnp.zeros((1, 0), int), length=1)
    with pytest.raises(ValueError, match=r"^length must be at least 1, got 0$"):
        decode(jnp.zeros((1, 1), int), length=0)
    with pytest.raises(ValueError, match=r"^end must lie in \[0, 4\), got 4$"):
        decode(jnp.zeros((1, 1), int), length=1, end=4)
    with pytest.raises(ValueError, match=r"^step must give logits \[n, k\] for 1 tokens, got shape \(1, 1, 3\)$"):
        greedy(lambda s, t: (jnp.zeros((1, 1, 3)), s), (), jnp.zeros((1, 1), int), length=1)
    with pytest.raises(ValueError, match=r"^step must return a state of the shapes and dtypes that it got, got "):
        greedy(lambda s, t: (jnp.zeros((1, 3)), t), (), jnp.zeros((1, 1), int), length=1)
