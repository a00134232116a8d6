from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import transfer, tree
from fjdl.data.text import CHARACTERS, NO_SPECIALS, Coder, build_vocabulary
from fjdl.decoding import sample
from fjdl.models import LSTMLanguageModel
from fjdl.nn import pure
from fjdl.train.generation import continuation
from tests.support import assert_trees_close
from tests.train.toy import random_params

TOKENS = np.random.default_rng(0).integers(0, 11, (3, 8)).astype(np.int32)
TIED = LSTMLanguageModel(vocabulary=11, features=5, hidden=6, layers=2)
UNTIED = TIED.clone(tied=False)


ADAPTIVE = TIED.clone(cutoffs=(4, 8), factor=2, shares=(0.3, 0.3))


def inputs(network: LSTMLanguageModel, tokens: Any = TOKENS, lengths: Any = None) -> Any:
    return (jnp.asarray(tokens), lengths), network.begin(len(tokens))


def by_torch(network: LSTMLanguageModel, params: Any, tokens: np.ndarray) -> np.ndarray:
    """The logits of the same network, made of PyTorch's layers."""
    x = torch.tensor(np.asarray(params["embedding"]["embedding"]))[torch.tensor(tokens).long()]
    for number, size in enumerate(network.sizes()):
        layer = torch.nn.LSTM(x.shape[-1], size, batch_first=True)
        weights = transfer.recurrent_to_torch(params[f"layer{number}"])
        layer.load_state_dict({name: torch.tensor(np.array(weight)) for name, weight in weights.items()})
        x = layer(x)[0]
    y = x.detach().numpy()
    if network.tied:
        return y @ params["embedding"]["embedding"].T
    return y @ params["logits"]["kernel"] + params["logits"]["bias"]


@pytest.mark.parametrize("network", [TIED, UNTIED], ids=["tied", "untied"])
def test_it_is_what_pytorchs_layers_give_and_windows_with_a_carry_are_the_whole(network: LSTMLanguageModel) -> None:
    model = pure(network)
    params, expected = random_params(model, inputs(network)), None
    apply = jax.jit(lambda p, x: model.apply(p, {}, x)[0])
    expected = by_torch(network, params, TOKENS)
    logits, after = apply(params, inputs(network))
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    carry, parts = network.begin(3), []
    for start in (0, 4):
        part, carry = apply(params, ((jnp.asarray(TOKENS[:, start : start + 4]), None), carry))
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, rtol=1e-5, atol=1e-6)
    assert_trees_close(carry, after, rtol=1e-5)
    rows = model.layers(inputs(network))
    assert sum(row.parameters for row in rows) == tree.count(params)
    assert rows[-1].output == (8, 11)
    sizes = network.sizes()
    per_token = 4 * 6 * (5 + 6) + 4 * sizes[1] * (6 + sizes[1]) + 11 * sizes[1]
    assert sum(row.macs for row in rows) == 8 * per_token


def test_what_follows_the_length_changes_nothing_and_the_state_is_that_of_the_last_token() -> None:
    model = pure(TIED)
    params = random_params(model, inputs(TIED))
    lengths = jnp.array([8, 3, 0])
    apply = jax.jit(lambda tokens: model.apply(params, {}, inputs(TIED, tokens, lengths))[0])
    other = TOKENS.copy()
    other[1, 3:], other[2] = 7, 9
    (logits, carry), (again, same) = apply(TOKENS), apply(other)
    assert_trees_close(carry, same, rtol=0)
    np.testing.assert_array_equal(logits[1, :3], again[1, :3])
    assert_trees_close(jax.tree.map(lambda x: x[2], carry), jax.tree.map(lambda x: x[0], TIED.begin(1)), rtol=0)
    _, short = model.apply(params, {}, inputs(TIED, TOKENS[1:2, :3]))[0]
    assert_trees_close(jax.tree.map(lambda x: x[1:2], carry), short, rtol=1e-5)


def test_given_targets_it_gives_their_nats_and_with_cutoffs_frequent_words_have_longer_vectors() -> None:
    targets = jnp.asarray(np.roll(TOKENS, -1, axis=1))
    for network in (TIED, ADAPTIVE):
        model = pure(network)
        given = (jnp.asarray(TOKENS), None, targets), network.begin(3)
        params = random_params(model, given)
        apply = jax.jit(lambda x, model=model, params=params: model.apply(params, {}, x)[0])
        (outputs, after), (logits, same) = apply(given), apply(inputs(network))
        assert_trees_close(after, same)
        assert outputs.keys() == {"nats"}
        expected = torch.nn.functional.cross_entropy(
            torch.tensor(np.asarray(logits)).flatten(0, 1), torch.tensor(np.asarray(targets)).long().flatten(),
            reduction="none",
        )  # fmt: skip
        np.testing.assert_allclose(outputs["nats"].ravel(), expected, rtol=1e-5)
        rows = model.layers(given)
        assert sum(row.parameters for row in rows) == tree.count(params)
        assert rows[-1].output == ((8,) if network.cutoffs else (8, 11))
    assert jax.tree.map(jnp.shape, params["embedding"]) == {
        "embedding0": (4, 5), "embedding1": (4, 2), "embedding2": (3, 1), "clusters": {"kernel": (2, 5)},
        "projections_0": {"kernel": (2, 5)}, "projections_1": {"kernel": (1, 5)},
    }  # fmt: skip
    np.testing.assert_allclose(np.exp(logits).sum(-1), 1, rtol=1e-5)  # logarithms of probabilities
    scores = 5 * (4 + 2) + 0.3 * 2 * (5 + 4) + 0.3 * 1 * (5 + 3)  # of a token: the head, and shares of the tails
    assert rows[-1].macs == round(8 * scores)
    regularized = pure(ADAPTIVE.clone(regularized=True))
    outputs = jax.eval_shape(lambda p: regularized.apply(p, {}, given, train=True, key=jax.random.key(0))[0][0], params)
    assert outputs.keys() == {"nats", "activations", "states"}
    with pytest.raises(ValueError, match="tied must be True where there are cutoffs, got False"):
        pure(ADAPTIVE.clone(tied=False)).init(jax.random.key(0), given)


def test_training_drops_what_it_should_and_gives_what_the_penalties_need() -> None:
    network = TIED.clone(
        word_dropout=0.2, input_dropout=0.3, hidden_dropout=0.3, output_dropout=0.5, recurrent_dropout=0.4,
        regularized=True,
    )  # fmt: skip
    model = pure(network)
    params = random_params(model, inputs(network))
    (outputs, _), _ = model.apply(params, {}, inputs(network), train=True, key=jax.random.key(0))
    assert outputs.keys() == {"logits", "activations", "states"}
    kept = np.asarray(outputs["activations"] != 0)
    assert (kept == kept[:, :1]).all()  # the same features at each step
    np.testing.assert_allclose(outputs["activations"], 2 * np.where(kept, outputs["states"], 0), rtol=1e-6)
    np.testing.assert_allclose(
        outputs["logits"], np.asarray(outputs["activations"]) @ params["embedding"]["embedding"].T, rtol=1e-5, atol=1e-6
    )
    (plain, _), _ = model.apply(params, {}, inputs(network))
    np.testing.assert_allclose(plain, by_torch(network, params, TOKENS), rtol=1e-5, atol=1e-6)


def test_in_bfloat16_logits_are_half_and_near_and_the_carry_comes_out() -> None:
    half = pure(TIED.clone(dtype=jnp.bfloat16))
    params = random_params(half, inputs(TIED))
    (logits, _), _ = half.apply(params, {}, inputs(TIED))
    assert logits.dtype == jnp.bfloat16
    np.testing.assert_allclose(logits.astype(jnp.float32), by_torch(TIED, params, TOKENS), rtol=0.05, atol=0.01)


def test_a_continuation_writes_what_the_whole_network_finds_most_probable() -> None:
    model = pure(UNTIED)
    params = jax.tree.map(lambda x: 5 * x, random_params(model, inputs(UNTIED)))
    coder = Coder(CHARACTERS, build_vocabulary("abcdefghijk", specials=NO_SPECIALS))
    made = continuation(model, UNTIED.begin, coder=lambda: coder)
    assert (made.encode("bad"), made.decode([7, 4])) == ([1, 0, 3], "he")
    given = TOKENS[:, :3]
    start = made.start(params, {}, jnp.asarray(given), jnp.full(3, 3), 5)
    decoded = sample(
        jax.random.key(0), lambda state, tokens: made.step(params, {}, state, tokens), *start, length=5, temperature=0.0
    )
    text = given
    for _ in range(5):
        text = np.concatenate([text, by_torch(UNTIED, params, text)[:, -1:].argmax(-1).astype(np.int32)], axis=1)
    np.testing.assert_array_equal(decoded.tokens, text[:, 3:])
