"""What a recipe says of a model that answers: how it writes, and where it looks."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import nn
from fjdl.data.text import CHARACTERS, Coder, build_vocabulary, encode_texts
from fjdl.decoding import greedy
from fjdl.errors import UsageError
from fjdl.models import BahdanauDecoder, EncoderDecoder, RecurrentEncoder
from fjdl.train.generation import Generation, answers
from fjdl.train.writing import attended, searched, writer, written
from tests.train.toy import random_params

CODER = Coder(CHARACTERS, build_vocabulary("abcd"))
SIZE = len(CODER.vocabulary)


@pytest.fixture(scope="module")
def made() -> tuple[Generation, Any, EncoderDecoder]:
    network = EncoderDecoder(
        vocabulary=SIZE,
        features=5,
        encoder=partial(RecurrentEncoder, partial(nn.GRU, features=4, bidirectional=True)),
        decoder=partial(BahdanauDecoder, hidden=6, features=5, units=3),
    )
    one = jnp.zeros((1, 2), jnp.int32), jnp.full(1, 2)
    begin, step, weights = (nn.method(network, name) for name in ("begin", "step", "weights"))
    generation = answers(begin, step, coders=lambda: {"source": CODER, "target": CODER}, length=4, weights=weights)
    return generation, random_params(nn.pure(network), (one, one)), network


@pytest.mark.by_day_on_pin(1)
def test_answers_are_those_of_greedy_decoding_and_padding_changes_none(made: Any) -> None:
    generation, params, network = made
    (text, score), *others = written(generation, searched(generation), params, {}, "abca", count=1, seed=0)
    tokens, lengths = encode_texts(CODER, ["abca", "d"], steps=6)
    begin = partial(nn.method(network, "begin"), steps=4)
    state = jax.jit(begin)(params, {}, (tokens, lengths))
    bos, eos = CODER.vocabulary.bos, CODER.vocabulary.eos
    step = partial(generation.step, params, {})
    expected = jax.jit(lambda state: greedy(step, state, jnp.full((2, 1), bos), length=4, end=eos))(state)
    assert not others
    assert text == CODER.decode(np.array(expected.tokens[0, : int(expected.lengths[0])]))
    assert score == pytest.approx(float(expected.scores[0]), rel=1e-5)
    write = jax.jit(writer(generation, searched(generation)._replace(beams=2)))
    beams = write(jax.random.key(0), params, {}, tokens, lengths)
    assert beams.tokens.shape == (2, 1, 4)


@pytest.mark.by_day_on_pin(1)
def test_a_map_has_a_row_for_each_written_token_and_a_column_for_each_given_one(made: Any) -> None:
    generation, params, _ = made
    found = attended(generation, params, {}, CODER.encode("abc").tolist())
    assert found.inputs == ["a", "b", "c"]
    assert found.weights.shape == (len(found.outputs), 3)
    np.testing.assert_allclose(found.weights.sum(-1), 1, rtol=1e-6)
    with pytest.raises(UsageError, match="attention must be that of a generation that has one, got None"):
        attended(generation._replace(attention=None), params, {}, [4])
