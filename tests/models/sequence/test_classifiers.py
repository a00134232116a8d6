from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import models, transfer, tree
from fjdl.functional import max_over_time, mean_over_time
from fjdl.models import DeepAverage, RecurrentClassifier, TextClassifier, TextCNN
from fjdl.nn import GRU, LSTM, AttentionOverTime, pure
from tests.train.toy import random_params

TOKENS = np.random.default_rng(0).integers(0, 11, (4, 6)).astype(np.int32)
LENGTHS = np.array([6, 1, 3, 4], np.int32)
SIZES: dict[str, Any] = {"vocabulary": 11, "classes": 3, "features": 5}
KINDS = {
    "average": DeepAverage(**SIZES, hidden=(7,)),
    "largest": DeepAverage(**SIZES, pool=max_over_time),
    "cnn": TextCNN(**SIZES, windows=(2, 3, 8), filters=4),
    "lstm, last": RecurrentClassifier(LSTM(4, layers=2, bidirectional=True), **SIZES),
    "lstm, largest": RecurrentClassifier(LSTM(4, bidirectional=True), pool=max_over_time, **SIZES),
    "gru, mean": RecurrentClassifier(GRU(4), pool=mean_over_time, **SIZES),
    "gru, attention": RecurrentClassifier(GRU(4), pool=AttentionOverTime(3), **SIZES),
}
PARAMETERS = {
    "average": 11 * 5 + 6 * 7 + 8 * 3,
    "largest": 11 * 5 + 6 * 3,
    "cnn": 11 * 5 + (13 * 5 + 3) * 4 + 13 * 3,
    "lstm, last": 11 * 5 + 2 * 16 * (5 + 4 + 1) + 2 * 16 * (8 + 4 + 1) + 9 * 3,
    "lstm, largest": 11 * 5 + 2 * 16 * (5 + 4 + 1) + 9 * 3,
    "gru, mean": 11 * 5 + 12 * (5 + 4 + 2) + 5 * 3,
    "gru, attention": 11 * 5 + 12 * (5 + 4 + 2) + 5 * 3 + 3 + 5 * 3,
}
each_kind = pytest.mark.parametrize(("kind", "module"), KINDS.items(), ids=KINDS.keys())


def dense(x: torch.Tensor, params: Any) -> torch.Tensor:
    return x @ torch.tensor(np.asarray(params["kernel"])) + torch.tensor(np.asarray(params["bias"]))


def recurrent(x: torch.Tensor, module: Any, params: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs [t, h] and the last layer's last outputs [h]."""
    made = torch.nn.LSTM if isinstance(module, LSTM) else torch.nn.GRU
    layer = made(x.shape[-1], module.features, module.layers, batch_first=True, bidirectional=module.bidirectional)
    weights = transfer.recurrent_to_torch(params)
    layer.load_state_dict({name: torch.tensor(np.array(weight)) for name, weight in weights.items()})
    outputs, last = layer(x[None])
    states = last[0] if isinstance(last, tuple) else last
    return outputs[0], states[-2 if module.bidirectional else -1 :, 0].ravel()


def pooled(x: torch.Tensor, module: Any, params: Any) -> torch.Tensor:
    if module.pool is max_over_time:
        return x.max(dim=0).values
    if module.pool is mean_over_time:
        return x.mean(dim=0)
    hidden = torch.tanh(dense(x, params["pool"]["hidden"]))
    weights = torch.softmax(hidden @ torch.tensor(np.asarray(params["pool"]["score"]["kernel"]))[:, 0], dim=0)
    return weights @ x


def by_torch(module: TextClassifier, params: Any, tokens: np.ndarray) -> np.ndarray:
    """The logits of one text without padding, by PyTorch's layers."""
    x = torch.tensor(np.asarray(params["embedding"]["embedding"]))[torch.tensor(tokens).long()]
    if isinstance(module, TextCNN):
        kernels = [(params[f"window{w}"]["kernel"], params[f"window{w}"]["bias"]) for w in module.windows]
        maps = [
            torch.nn.functional.conv1d(
                x.T[None], torch.tensor(np.asarray(k)).permute(2, 1, 0), torch.tensor(np.asarray(b)), padding=len(k) - 1
            )
            for k, b in kernels
        ]
        h = torch.cat([torch.relu(each[0]).max(dim=1).values for each in maps])
    elif isinstance(module, RecurrentClassifier):
        outputs, last = recurrent(x, module.layer, params["layer"])
        h = last if module.pool is None else pooled(outputs, module, params)
    else:
        h = pooled(x, module, params)
        for number in range(len(module.hidden)):  # type: ignore[attr-defined]
            h = torch.relu(dense(h, params[f"hidden{number + 1}"]))
    return dense(h, params["logits"]).detach().numpy()


@each_kind
def test_each_text_has_the_logits_of_torch_without_padding_and_padding_has_no_gradient(
    kind: str, module: TextClassifier
) -> None:
    model = pure(module)
    params = random_params(model, (TOKENS, LENGTHS))
    padded = np.full((5, 8), -1, np.int32)  # an id without a vector is NaN; the last text has no words
    for row, length in enumerate(LENGTHS):
        padded[row, :length] = TOKENS[row, :length]

    def total(params: Any) -> Any:
        logits = model.apply(params, {}, (padded, np.append(LENGTHS, 0)))[0]
        return jnp.sum(logits), logits

    slopes, logits = jax.jit(jax.grad(total, has_aux=True))(params)
    for row, length, found in zip(TOKENS, LENGTHS, logits[:4], strict=True):
        np.testing.assert_allclose(found, by_torch(module, params, row[:length]), rtol=1e-5, atol=1e-6)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    moved = np.abs(slopes["embedding"]["embedding"]).sum(axis=1) > 0
    assert set(np.flatnonzero(moved)) <= set(padded[padded >= 0].tolist())


def test_without_lengths_all_words_count() -> None:
    model = pure(KINDS["cnn"])
    params = random_params(model, (TOKENS, LENGTHS))
    logits = jax.jit(lambda p: model.apply(p, {}, (TOKENS, None))[0])(params)
    np.testing.assert_allclose(logits[2], by_torch(KINDS["cnn"], params, TOKENS[2]), rtol=1e-5, atol=1e-6)


@each_kind
def test_every_layer_has_the_parameters_of_its_row_in_the_table(kind: str, module: TextClassifier) -> None:
    model = pure(module)
    params, stats = jax.eval_shape(model.init, jax.random.key(0), (TOKENS, LENGTHS))
    rows = model.layers((TOKENS, LENGTHS))
    assert sum(row.parameters for row in rows) == tree.count(params) == PARAMETERS[kind]
    assert rows[-1].output == (3,)
    assert stats == {}


def test_the_table_of_a_convolutional_network_has_its_windows() -> None:
    rows = pure(KINDS["cnn"]).layers((TOKENS, LENGTHS))
    assert [(row.name, row.output, row.macs) for row in rows] == [
        ("embedding", (6, 5), 0),
        ("window2", (7, 4), 7 * 4 * 2 * 5),
        ("window3", (8, 4), 8 * 4 * 3 * 5),
        ("window8", (13, 4), 13 * 4 * 8 * 5),
        ("logits", (3,), 12 * 3),
    ]


def test_words_are_dropped_to_the_unknown_one_in_training_alone() -> None:
    module = DeepAverage(**SIZES, word_dropout=0.5, dropout=0.0, unknown=2)
    model = pure(module)
    params = random_params(model, (TOKENS, LENGTHS))
    text = (jnp.full((1, 4000), 1), None)
    kept = np.linalg.norm(_mean_of(model, params, text, train=True) - _both(params, 0.5))
    assert kept < 0.05
    np.testing.assert_allclose(_mean_of(model, params, text, train=False), _both(params, 0.0), rtol=1e-4, atol=1e-5)


def _both(params: Any, rate: float) -> np.ndarray:
    table = np.asarray(params["embedding"]["embedding"])
    return (1 - rate) * table[1] + rate * table[2]


def _mean_of(model: Any, params: Any, text: Any, *, train: bool) -> np.ndarray:
    """The mean vector, by logits that are its entries."""
    seen = {**params, "logits": {"kernel": jnp.eye(5)[:, :3], "bias": jnp.zeros(3)}}
    rest = {**params, "logits": {"kernel": jnp.eye(5)[:, 2:], "bias": jnp.zeros(3)}}
    options = {"train": train, "key": jax.random.key(1)}
    first, last = (np.asarray(model.apply(p, {}, text, **options)[0])[0] for p in (seen, rest))
    return np.concatenate([first[:2], last])


def test_dropout_acts_in_training_only() -> None:
    model = pure(KINDS["average"].clone(dropout=0.5, input_dropout=0.5))
    params = random_params(model, (TOKENS, LENGTHS))
    still, moved = (
        model.apply(params, {}, (TOKENS, LENGTHS), train=train, key=jax.random.key(0))[0] for train in (False, True)
    )
    plain = pure(KINDS["average"].clone(dropout=0.0)).apply(params, {}, (TOKENS, LENGTHS))[0]
    np.testing.assert_array_equal(still, plain)
    assert jnp.any(moved != still)


def test_in_bfloat16_logits_are_half_and_near() -> None:
    module = KINDS["cnn"]
    params = random_params(pure(module), (TOKENS, LENGTHS))
    half = jax.jit(lambda p: pure(module.clone(dtype=jnp.bfloat16)).apply(p, {}, (TOKENS[:1], None))[0])(params)
    assert half.dtype == jnp.bfloat16
    expected = by_torch(module, params, TOKENS[0])
    np.testing.assert_allclose(half[0].astype(jnp.float32), expected, rtol=0.05, atol=0.02)


def test_what_classifiers_share_is_no_classifier() -> None:
    with pytest.raises(NotImplementedError):
        pure(models.TextClassifier(**SIZES)).init(jax.random.key(0), (TOKENS, LENGTHS))


def test_a_bag_of_features_is_the_linear_map_of_the_dense_vector_it_stands_for() -> None:
    model = pure(models.BagOfFeatures(11, classes=3))
    weights = np.where(np.arange(6) < LENGTHS[:, None], np.random.default_rng(1).normal(size=TOKENS.shape), 0)
    bag = (np.where(weights == 0, -1, TOKENS), weights.astype(np.float32))
    dense_vectors = np.zeros((4, 11), np.float32)
    np.add.at(dense_vectors, (np.arange(4)[:, None], TOKENS), weights)
    params = random_params(model, bag)
    expected = dense(torch.tensor(dense_vectors), params["logits"])
    np.testing.assert_allclose(model.apply(params, {}, bag)[0], expected, rtol=1e-5, atol=1e-6)
    (row,) = model.layers(bag)
    assert (row.parameters, row.output, row.macs) == (12 * 3, (3,), 6 * 3)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(model.init(jax.random.key(0), bag)[0]))
    half = model.apply(params, {}, (bag[0], jnp.bfloat16(bag[1])))[0]
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), expected, rtol=0.05, atol=0.05)
