"""One sequence from another: words step by step, padding, PyTorch's twins, beams, captions, costs."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

from fjdl import nn, optim, tree
from fjdl.analysis import total
from fjdl.decoding import beam_search, greedy
from fjdl.models import (
    BahdanauDecoder,
    EncoderDecoder,
    ImageEncoder,
    Memory,
    RecurrentDecoder,
    RecurrentEncoder,
    TransformerTextDecoder,
    TransformerTextEncoder,
)
from fjdl.transfer import TRANSFORMER, from_torch, split_projections
from tests.support import assert_trees_close
from tests.train.toy import random_params

V, D = 7, 6
LENGTHS, WORDS = np.array([5, 2, 3]), np.array([6, 4, 3])
ENCODER = partial(RecurrentEncoder, partial(nn.GRU, features=5, bidirectional=True))
LAYERS = partial(nn.LSTM, features=4, layers=2)


def blocks(block: Any) -> Any:
    return partial(block, D, 2, 8, rate=0.0)


def recurrent(**options: Any) -> EncoderDecoder:
    return EncoderDecoder(vocabulary=V, features=D, source_vocabulary=V, encoder=ENCODER, **options)


def transformer() -> EncoderDecoder:
    return EncoderDecoder(
        vocabulary=V,
        features=D,
        encoder=partial(TransformerTextEncoder, blocks(nn.TransformerEncoderBlock), 1),
        decoder=partial(TransformerTextDecoder, blocks(nn.TransformerDecoderBlock), 1),
        tied=True,
        scale=D**0.5,
    )


def luong(look: Any, **options: Any) -> EncoderDecoder:
    return recurrent(decoder=partial(RecurrentDecoder, layer=LAYERS, look=look, features=D), **options)


NETWORKS = {
    "bahdanau": recurrent(decoder=partial(BahdanauDecoder, hidden=4, features=D, units=3)),
    "general": luong(partial(nn.LuongAttention, 4), tied=True),
    "additive": luong(partial(nn.AdditiveAttention, 3)),
    "transformer": transformer(),
}
EVERY = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


@pytest.fixture
def pairs() -> Any:
    rng = np.random.default_rng(0)
    return (rng.integers(0, V, (3, 5)), LENGTHS), (rng.integers(0, V, (3, 6)), WORDS)


def counted(lengths: np.ndarray, width: int) -> np.ndarray:
    return np.arange(width) < lengths[:, None]


@EVERY
def test_step_by_step_equals_the_whole_and_padding_reaches_nothing(network: EncoderDecoder, pairs: Any) -> None:
    model, begin, step = nn.pure(network), nn.method(network, "begin"), nn.method(network, "step")
    params = random_params(model, pairs)
    source, target = pairs
    inside = counted(WORDS - 1, 5)

    @jax.jit
    def run(params: Any, pairs: Any) -> Any:
        def loss(params: Any) -> Any:
            logits, _ = model.apply(params, {}, pairs)
            return jnp.sum(jnp.where(inside[..., None], logits, 0) ** 2), logits

        return jax.grad(loss, has_aux=True)(params)

    @jax.jit
    def stepped(params: Any, pairs: Any) -> Any:
        source, (tokens, _) = pairs
        state = begin(params, {}, source, steps=5)
        return jax.lax.scan(lambda state, now: step(params, {}, state, now)[::-1], state, tokens[:, :5].T)[1]

    slopes, whole = run(params, pairs)
    np.testing.assert_allclose(np.swapaxes(stepped(params, pairs), 0, 1)[inside], whole[inside], rtol=1e-4, atol=1e-5)
    spoilt = tuple(
        (np.where(counted(lengths, tokens.shape[1]), tokens, 99), lengths) for tokens, lengths in (source, target)
    )
    again, other = run(params, spoilt)
    np.testing.assert_allclose(other[inside], whole[inside], rtol=1e-6)
    assert_trees_close(again, slopes, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        np.swapaxes(stepped(params, (spoilt[0], target)), 0, 1)[inside], whole[inside], rtol=1e-4, atol=1e-5
    )


@EVERY
def test_weights_are_shares_of_the_source_and_its_padding_has_none(network: EncoderDecoder, pairs: Any) -> None:
    params = random_params(nn.pure(network), pairs)
    weights = jax.jit(nn.method(network, "weights"))(params, {}, pairs)
    assert weights.shape == (3, 5, 5)
    np.testing.assert_allclose(jnp.sum(weights, axis=-1), 1, rtol=1e-6)
    assert np.all(weights.swapaxes(1, 2)[~counted(LENGTHS, 5)] == 0)
    assert np.all(weights.swapaxes(1, 2)[counted(LENGTHS, 5)] > 0)


@EVERY
def test_layers_have_all_parameters(network: EncoderDecoder, pairs: Any) -> None:
    model = nn.pure(network)
    assert total(model.layers(pairs)).parameters == tree.count(jax.eval_shape(model.init, jax.random.key(0), pairs))


def test_products_are_counted_by_the_shapes_of_both_sides(pairs: Any) -> None:
    (source, _), target = pairs
    rows = {row.name: row for row in nn.pure(NETWORKS["bahdanau"]).layers(((source[:, :3], None), target))}
    gates, attention = (6 + 10 + 4) * 12 + 4 * 3, 10 * 3
    assert rows["decode/attentive"].macs == 5 * gates + 3 * attention + 5 * 3 * (3 + 10)
    rows = {row.name: row for row in nn.pure(NETWORKS["transformer"]).layers(((source[:, :3], None), target))}
    assert rows["decode/stack/block0/cross/products"].macs == 5 * 3 * 2 * (3 + 3)


def test_a_beam_of_one_is_greedy_and_one_as_wide_as_can_be_is_never_worse(pairs: Any) -> None:
    network = NETWORKS["bahdanau"]
    params = random_params(nn.pure(network), pairs)
    step = partial(nn.method(network, "step"), params, {})

    @jax.jit
    def decoded(source: Any) -> Any:
        state, prompt = nn.method(network, "begin")(params, {}, source, steps=3), jnp.full((3, 1), 2)
        options: Any = {"length": 3}
        return greedy(step, state, prompt, **options), *(
            beam_search(step, state, prompt, beams=beams, **options) for beams in (1, V**2)
        )

    best, one, wide = decoded(pairs[0])
    np.testing.assert_array_equal(best.tokens, one.tokens[:, 0])
    np.testing.assert_allclose(best.scores, one.scores[:, 0], rtol=1e-5)
    assert np.all(wide.scores[:, 0] >= one.scores[:, 0] - 1e-6)


def test_a_step_of_bahdanau_equals_one_written_with_torch(pairs: Any) -> None:
    decoder = BahdanauDecoder(hidden=4, features=D, units=3)
    rng = np.random.default_rng(1)
    x, values, summary = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 5, 2), (3, 5, 6), (3, 8)))
    memory = Memory(jnp.asarray(values), jnp.asarray(LENGTHS), jnp.asarray(summary))
    shapes = decoder.init(jax.random.key(0), x, memory)["params"]
    params = jax.tree.map(lambda p: rng.standard_normal(p.shape).astype(np.float32) / 2, shapes)

    def loss(params: Any, x: Any, values: Any) -> Any:
        outputs: Any = decoder.apply({"params": params}, x, memory._replace(values=values))
        return jnp.sum(outputs**2)

    value, slopes = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(params, x, values)
    theirs = jax.tree.map(lambda p: torch.tensor(p, dtype=torch.float64, requires_grad=True), params)
    words, memories = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, values))
    expected = (with_torch(theirs, words, memories, torch.tensor(summary, dtype=torch.float64)) ** 2).sum()
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
    grads = jax.tree.map(lambda p: np.zeros(p.shape) if p.grad is None else p.grad.numpy(), (theirs, words, memories))
    assert_trees_close(slopes, grads, rtol=1e-4, atol=1e-4)


def with_torch(p: Any, x: torch.Tensor, values: torch.Tensor, summary: torch.Tensor) -> torch.Tensor:
    """The outputs of all steps, equations of the paper's appendix with PyTorch's GRU."""
    cell, a = torch.nn.GRUCell(2 + 6, 4).double(), p["attentive"]
    inside = torch.tensor(counted(LENGTHS, 5))
    kernel = torch.cat([a["input"]["kernel"], a["context"]["kernel"]])
    weights = {"weight_ih": kernel.T, "bias_ih": a["input"]["bias"]}
    weights |= {"weight_hh": a["recurrent"]["kernel"].T, "bias_hh": a["recurrent"]["bias"]}
    state = torch.tanh(summary @ p["bridge"]["state0"]["kernel"] + p["bridge"]["state0"]["bias"])
    keys, outputs = values @ a["key"]["kernel"], []
    for t in range(5):
        hidden = torch.tanh((state @ a["query"]["kernel"])[:, None] + keys)
        scores = (hidden @ a["score"]["kernel"])[..., 0].masked_fill(~inside, -torch.inf)
        context = (torch.softmax(scores, -1)[..., None] * values).sum(1)
        state = torch.func.functional_call(cell, weights, (torch.cat([x[:, t], context], -1), state))
        outputs.append(torch.cat([x[:, t], state, context], -1))
    found = torch.einsum("ntd,dfp->ntfp", torch.stack(outputs, 1), p["readout"]["kernel"])
    return (found + p["readout"]["bias"]).amax(-1)


def test_the_transformer_equals_torchs(pairs: Any) -> None:
    torch.manual_seed(0)
    options = {"dim_feedforward": 8, "dropout": 0.0, "batch_first": True}
    encoder = torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(D, 2, **options), 1, enable_nested_tensor=False
    )
    decoder = torch.nn.TransformerDecoder(torch.nn.TransformerDecoderLayer(D, 2, **options), 1)
    network = NETWORKS["transformer"]
    model = nn.pure(network)
    params = random_params(model, pairs)
    for theirs, part in ((encoder, "encode"), (decoder, "decode")):
        state = split_projections({name: tensor.detach().numpy() for name, tensor in theirs.state_dict().items()})
        params[part]["stack"] = from_torch(state, params[part]["stack"], {}, TRANSFORMER)[0]
    (source, lengths), (target, _) = pairs
    logits, _ = jax.jit(model.apply)(params, {}, pairs)
    table = torch.tensor(np.array(params["target"]["embedding"]))
    places = torch.tensor(np.array(nn.SinusoidalPositions().apply({}, jnp.zeros((1, 5, D)))))
    padding = torch.tensor(~counted(lengths, 5))
    memory = encoder(table[torch.tensor(source)] * D**0.5 + places, src_key_padding_mask=padding)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(5)
    words = table[torch.tensor(target[:, :5])] * D**0.5 + places
    found = (decoder(words, memory, causal, memory_key_padding_mask=padding) @ table.T).detach().numpy()
    inside = counted(WORDS - 1, 5)
    np.testing.assert_allclose(logits[inside], found[inside], rtol=1e-4, atol=1e-4)


class Quarters(linen.Module):
    """Features of each quarter of an image, with one that says which it is."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        places = jnp.broadcast_to(jnp.eye(4).reshape(1, 2, 2, 4), (x.shape[0], 2, 2, 4))
        return nn.Conv(16, 1)(jnp.concatenate([nn.Conv(8, 3, stride=3, padding=0)(x), places], axis=-1))


def images(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Bright squares in one of four corners, in one of three colours, and captions: begin, colour, corner, end."""
    found, captions = [], []
    for colour in range(3):
        for corner in range(4):
            image = 0.1 * rng.standard_normal((6, 6, 3))
            row, column = 3 * (corner // 2), 3 * (corner % 2)
            image[row : row + 3, column : column + 3, colour] += 1
            found.append(image)
            captions.append([0, 2 + colour, 5 + corner, 1])
    return np.array(found, np.float32), np.array(captions)


@pytest.mark.slow
@pytest.mark.parametrize(
    "decoder",
    [
        partial(RecurrentDecoder, layer=partial(nn.GRU, features=32), features=32),
        partial(BahdanauDecoder, hidden=32, features=16, units=16),
    ],
    ids=["show_and_tell", "show_attend_and_tell"],
)
def test_captions_of_a_toy_are_learned(decoder: Any, rng: np.random.Generator) -> None:
    pixels, captions = images(rng)
    network = EncoderDecoder(
        vocabulary=9, features=8, image=True, encoder=partial(ImageEncoder, Quarters), decoder=decoder
    )
    model, pairs = nn.pure(network), (pixels, (captions, None))
    params, stats = model.init(jax.random.key(0), pairs)
    optimizer = optim.adam(0.02)

    @jax.jit
    def train(params: Any) -> Any:
        def loss(params: Any) -> Any:
            logits, _ = model.apply(params, stats, pairs, train=True)
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), captions[:, 1:, None], axis=-1))

        def body(carry: Any, _: None) -> Any:
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            return (jax.tree.map(jnp.add, params, updates), state), None

        return jax.lax.scan(body, (params, optimizer.init(params)), None, length=120)[0][0]

    params = train(params)
    step = partial(nn.method(network, "step"), params, stats)
    state = nn.method(network, "begin")(params, stats, pixels, steps=3)
    written = greedy(step, state, jnp.zeros((12, 1), jnp.int32), length=3, end=1)
    np.testing.assert_array_equal(written.tokens, captions[:, 1:])
    assert total(model.layers(pairs)).parameters == tree.count(params)


def test_weights_without_attention_are_refused(pairs: Any) -> None:
    network = luong(None)
    params = jax.eval_shape(nn.pure(network).init, jax.random.key(0), pairs)[0]
    with pytest.raises(ValueError, match="look must make an attention that has weights, got None"):
        jax.eval_shape(nn.method(network, "weights"), params, {}, pairs)
