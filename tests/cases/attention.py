"""Rows of attention."""

from functools import partial
from typing import Any

import numpy as np

from fjdl import functional
from tests.cases.case import Case, f32, i32, inputs, key, labels, normal, of_torch

Q, K, V = normal(2, 3, 4, 2), normal(2, 5, 2, 2), normal(2, 5, 2, 3)
QUERIES, KEYS, VALUES = normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 2)
NAN = np.nan


def allowed(*shape: int) -> Any:
    """A mask with True in every row, and in its first example a row without."""

    def make(rng: np.random.Generator) -> np.ndarray:
        mask = rng.uniform(size=shape) < 0.6
        mask[..., 0] = True
        mask[0, ..., 0, :] = False
        return mask

    return make


def steps(*lengths: int) -> Any:
    return lambda rng: np.array(lengths, np.int32)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis; 0 where all are -inf."""
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True, initial=-1e30))
    return weights / np.maximum(weights.sum(-1, keepdims=True), 1e-300)


def masked(scores: np.ndarray, mask: Any = None, lengths: Any = None) -> np.ndarray:
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    if lengths is None:
        return scores
    return np.where(np.arange(scores.shape[-1]) < lengths.reshape(-1, *[1] * (scores.ndim - 1)), scores, -np.inf)


def on_numpy(oracle: Any) -> Any:
    """The oracle of arrays of NumPy, masks and integers too."""
    return lambda *arrays: oracle(*(None if x is None else np.asarray(x) for x in arrays))


def torch_attention(q: Any, k: Any, v: Any) -> Any:
    import torch

    out = torch.nn.functional.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True, enable_gqa=True
    )
    return out.transpose(1, 2)


def by_hand(q: Any, k: Any, v: Any, mask: Any, bias: Any, lengths: Any) -> Any:
    return np.einsum("nhts,nshe->nthe", by_hand_weights(q, k, mask, bias, lengths), np.repeat(v, 2, axis=2))


def by_hand_weights(q: Any, k: Any, mask: Any, bias: Any, lengths: Any) -> Any:
    scores = np.einsum("nthd,nshd->nhts", q, np.repeat(k, 2, axis=2)) / np.sqrt(q.shape[-1]) + bias
    return softmax(masked(scores, mask, lengths))


def additive(q: Any, k: Any, w: Any, u: Any, vector: Any) -> Any:
    return np.tanh((q @ w)[:, :, None] + (k @ u)[:, None]) @ vector


def by_tanh(q: Any, k: Any, vector: Any) -> Any:
    return np.tanh(q[:, :, None] + k[:, None]) @ vector


def concat(q: Any, k: Any, kernel: Any, vector: Any) -> Any:
    pairs = np.concatenate(
        [np.repeat(q[:, :, None], k.shape[1], axis=2), np.repeat(k[:, None], q.shape[1], axis=1)], axis=-1
    )
    return np.tanh(pairs @ kernel) @ vector


def learned(scores: Any, count: int) -> Any:
    """Attention with scores of queries, keys and so many parameters."""

    def oracle(q: Any, k: Any, v: Any, *rest: Any) -> Any:
        parameters, (mask, lengths) = rest[:count], rest[count:]
        return softmax(masked(scores(q, k, *parameters), mask, lengths)) @ v

    return on_numpy(oracle)


def dots(q: Any, k: Any) -> Any:
    return q @ k.transpose(0, 2, 1)


def general(q: Any, k: Any, kernel: Any) -> Any:
    return dots(q, k @ kernel)


def cache(function: Any) -> Any:
    """The function with keys and values of the cache as arrays."""

    def call(first: Any, second: Any, k: Any, v: Any) -> Any:
        kept = functional.KeyValues(k, v)
        if function is functional.write_step:
            return tuple(function(kept, first, second, position=1))
        return function(first, kept, position=second)

    return call


def written(k: Any, v: Any, old_k: Any, old_v: Any) -> Any:
    return tuple(np.concatenate([old[:, :1], new, old[:, 2:]], axis=1) for old, new in ((old_k, k), (old_v, v)))


def decoded(q: Any, position: Any, k: Any, v: Any) -> Any:
    scores = np.einsum("nthd,nshd->nhts", q, np.repeat(k, 2, axis=2)) / np.sqrt(q.shape[-1])
    mask = np.arange(k.shape[1]) <= position + np.arange(q.shape[1])[:, None]
    return np.einsum("nhts,nshe->nthe", softmax(np.where(mask, scores, -np.inf)), np.repeat(v, 2, axis=2))


ONE = f32(1, 2).reshape(1, 2, 1, 1)
BROKEN = f32(1, NAN).reshape(1, 2, 1, 1)
FIRST = np.array([True, False]).reshape(1, 1, 1, 2)
AT_ONE = (f32([1]), f32([1, NAN]), f32([2, NAN]))  # one query, a key that counts and one that is padding


def sequences(*rows: np.ndarray) -> list[np.ndarray]:
    return [row.reshape(1, -1, 1) for row in rows]


CASES: list[Case] = [
    Case(
        partial(functional.dot_product_attention, causal=True),
        inputs(Q, K, V),
        (0, 1, 2),
        label="causal",
        oracle=of_torch(torch_attention),
        errors=(((ONE, ONE, ONE.repeat(2, axis=2)), "argument `v` must be"),),
    ),
    Case(
        functional.dot_product_attention,
        inputs(Q, K, V, allowed(2, 4, 3, 5), normal(1, 4, 3, 5), steps(5, 3)),
        (0, 1, 2, 4),
        oracle=on_numpy(by_hand),
        edges=(
            ((ONE, BROKEN, BROKEN, FIRST, None), np.ones(ONE.shape)),
            ((ONE, ONE, ONE, np.zeros_like(FIRST), None), np.zeros(ONE.shape)),
            ((ONE, ONE, ONE, None, None, i32(0)), np.zeros(ONE.shape)),
            ((ONE, ONE, ONE, None, f32(0, -np.inf).reshape(FIRST.shape)), np.ones(ONE.shape)),
        ),
        errors=(
            (
                (ONE.repeat(3, axis=2), ONE.repeat(2, axis=2), ONE.repeat(2, axis=2)),
                "the heads of keys must divide those of queries, got 2 and 3",
            ),
        ),
    ),
    Case(
        functional.dot_product_weights,
        inputs(Q, K, allowed(2, 4, 3, 5), normal(1, 4, 3, 5), steps(5, 3)),
        (0, 1, 3),
        "float32",
        oracle=on_numpy(by_hand_weights),
    ),
    Case(partial(functional.dropout_attention, rate=0.4, causal=True), inputs(key, Q, K, V), (1, 2, 3)),
    Case(
        partial(functional.causal_mask, queries=2, keys=3),
        inputs(),
        (),
        None,
        vmappable=False,
        edges=(((), np.array([[[[1, 0, 0], [1, 1, 0]]]])),),
    ),
    Case(
        partial(functional.length_mask, steps=3),
        inputs(labels(2, classes=4)),
        (),
        None,
        oracle=on_numpy(lambda lengths: np.arange(3) < lengths[:, None]),
        edges=(((i32(-1, 0, 9),), np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1]])),),
    ),
    Case(
        cache(functional.write_step),
        inputs(normal(2, 1, 2, 2), normal(2, 1, 2, 3), normal(2, 5, 2, 2), normal(2, 5, 2, 3)),
        (0, 1, 2, 3),
        label="write_step",
        oracle=written,
    ),
    Case(
        cache(functional.cached_attention),
        inputs(Q, lambda rng: np.int32(1), K, V),
        (0, 2, 3),
        label="cached_attention",
        oracle=on_numpy(decoded),
    ),
    Case(
        functional.attention_weights,
        inputs(normal(2, 3, 5), allowed(2, 3, 5), steps(5, 2)),
        (0,),
        oracle=on_numpy(lambda scores, mask, lengths: softmax(masked(scores, mask, lengths))),
        edges=(
            ((f32([[1, 1, NAN]]), np.array([[[True, True, False]]])), f32([[0.5, 0.5, 0]])),
            ((f32([[1, NAN]]), None, i32(0)), f32([[0, 0]])),
        ),
    ),
    Case(
        functional.additive_scores,
        inputs(QUERIES, KEYS, normal(4, 3), normal(4, 3), normal(3)),
        (0, 1, 2, 3, 4),
        oracle=additive,
    ),
    Case(functional.tanh_scores, inputs(QUERIES, KEYS, normal(4)), (0, 1, 2), oracle=by_tanh),
    Case(
        functional.tanh_attention,
        inputs(QUERIES, KEYS, VALUES, normal(4), allowed(2, 3, 5), steps(5, 3)),
        (0, 1, 2, 3),
        oracle=learned(by_tanh, 1),
        edges=(((*sequences(*AT_ONE), f32(1), None, i32(1)), f32([[2]])),),
    ),
    Case(functional.dot_scores, inputs(QUERIES, KEYS), (0, 1), oracle=dots),
    Case(functional.general_scores, inputs(QUERIES, KEYS, normal(4, 4)), (0, 1, 2), oracle=general),
    Case(
        functional.concat_scores,
        inputs(QUERIES, KEYS, normal(8, 3), normal(3)),
        (0, 1, 2, 3),
        oracle=concat,
        errors=(
            ((*sequences(f32(1), f32(1)), np.ones((3, 1), np.float32), f32(1)), r"kernel must have 1 \+ 1 rows, got 3"),
        ),
    ),
    Case(
        functional.additive_attention,
        inputs(QUERIES, KEYS, VALUES, normal(4, 3), normal(4, 3), normal(3), allowed(2, 3, 5), steps(5, 3)),
        (0, 1, 2, 3, 4, 5),
        oracle=learned(additive, 3),
        edges=(
            ((*sequences(*AT_ONE), f32([1]), f32([1]), f32(1), None, i32(1)), f32([[2]])),
            ((*sequences(*AT_ONE), f32([1]), f32([1]), f32(1), None, i32(0)), f32([[0]])),
        ),
    ),
    Case(
        functional.dot_attention,
        inputs(QUERIES, KEYS, VALUES, allowed(2, 3, 5), steps(5, 3)),
        (0, 1, 2),
        oracle=learned(dots, 0),
        edges=(((*sequences(*AT_ONE), None, i32(1)), f32([[2]])), ((*sequences(*AT_ONE), None, i32(0)), f32([[0]]))),
    ),
    Case(
        functional.general_attention,
        inputs(QUERIES, KEYS, VALUES, normal(4, 4), allowed(2, 3, 5), steps(5, 3)),
        (0, 1, 2, 3),
        oracle=learned(general, 1),
        edges=(((*sequences(*AT_ONE), f32([1]), None, i32(1)), f32([[2]])),),
    ),
    Case(
        functional.concat_attention,
        inputs(QUERIES, KEYS, VALUES, normal(8, 3), normal(3), allowed(2, 3, 5), steps(5, 3)),
        (0, 1, 2, 3, 4),
        oracle=learned(concat, 2),
        edges=(((*sequences(*AT_ONE), f32([1], [1]), f32(1), None, i32(1)), f32([[2]])),),
    ),
]
