"""Rows of changes of logits and of penalties of lengths."""

from functools import partial

import numpy as np

from fjdl import decoding
from tests.cases.case import Case, f32, inputs, normal, uniform


def _tempered(logits: np.ndarray) -> np.ndarray:
    return (logits - logits.max(-1, keepdims=True)) / 0.7


def _largest(logits: np.ndarray) -> np.ndarray:
    return np.where(logits >= np.sort(logits)[..., -3:-2], logits, -np.inf)


def _nucleus(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    above = np.where(p[..., None, :] > p[..., None], p[..., None, :], 0).sum(-1)  # what is more probable than each
    return np.where(above < 0.8, logits, -np.inf)


def _near_the_best(logits: np.ndarray) -> np.ndarray:
    return np.where(logits - logits.max(-1, keepdims=True) >= np.log(0.3), logits, -np.inf)


def _penalized(logits: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return np.where(seen, np.where(logits > 0, logits / 1.3, logits * 1.3), logits)


CASES = [
    Case(partial(decoding.tempered, temperature=0.7), inputs(normal(4, 6)), result="float32", oracle=_tempered),
    Case(partial(decoding.top_k, count=3), inputs(normal(4, 6)), result="float32", oracle=_largest),
    Case(partial(decoding.top_p, mass=0.8), inputs(normal(4, 6)), result="float32", oracle=_nucleus),
    Case(partial(decoding.min_p, share=0.3), inputs(normal(4, 6)), result="float32", oracle=_near_the_best),
    Case(
        partial(decoding.repetition_penalty, penalty=1.3),
        inputs(normal(4, 6), lambda rng: rng.random((4, 6)) < 0.5),
        result="float32",
        oracle=_penalized,
    ),
    Case(
        decoding.length_penalty,
        inputs(uniform(5, low=1, high=9)),
        (0,),
        result="float32",
        domain=(0, 1e4),
        oracle=lambda lengths: ((5 + lengths) / 6) ** 0.6,
        edges=(((f32(1),), f32(1)),),
    ),
    Case(
        decoding.average_penalty,
        inputs(uniform(5, low=2, high=9)),
        (0,),
        result="float32",
        domain=(2, 1e4),
        oracle=lambda lengths: np.maximum(lengths, 1),
        edges=(((f32(0, 4),), f32(1, 4)),),
    ),
]
