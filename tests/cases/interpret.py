"""Rows of what fjdl.interpret makes of arrays alone; what it makes of networks has tests of its own."""

from functools import partial
from typing import Any

import numpy as np

from fjdl import interpret
from tests.cases.case import Case, f32, i32, inputs, labels, normal, uniform


def _margin(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    own = np.eye(logits.shape[1], dtype=bool)[classes]
    return np.where(own, -np.inf, logits).max(1) - logits[own]


def _enlarged(maps: np.ndarray) -> np.ndarray:
    import torch

    size = {"size": (6, 8), "mode": "bilinear", "align_corners": False}
    return torch.nn.functional.interpolate(torch.tensor(maps)[:, None], **size)[:, 0].numpy()


def _largest_part(masks: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    found = []
    for mask in masks:
        parts, count = ndimage.label(mask)
        sizes = [np.sum(parts == number) for number in range(1, count + 1)]
        found.append(parts == 1 + np.argmax(sizes) if count else mask)
    return np.stack(found)


def _salient(maps: np.ndarray) -> np.ndarray:
    return _largest_part(maps > np.quantile(maps, 0.6, axis=(1, 2), keepdims=True))


def _principal(x: np.ndarray) -> Any:
    from sklearn.decomposition import PCA

    made = PCA(2, svd_solver="full").fit(x)
    largest = made.components_[[0, 1], np.abs(made.components_).argmax(1)]
    components = made.components_ * np.sign(largest)[:, None]
    return interpret.PCA(made.mean_, components, made.explained_variance_, made.explained_variance_ratio_)


def _counts(x: Any) -> Any:
    return interpret.histogram(x, bins=4).counts


def _edges(x: Any) -> Any:
    return interpret.histograms({"a": x}, bins=4)["a"].edges


def _masks(*shape: int) -> Any:
    return lambda rng: rng.uniform(size=shape) < 0.6


def _rectified(*shape: int) -> Any:
    return lambda rng: np.maximum(rng.standard_normal(shape), 0).astype(np.float32)


CASES = [
    Case(
        interpret.logit_margin, inputs(normal(4, 5), labels(4, classes=5)), (0,), "float32", oracle=_margin,
        edges=(((f32([1, 4, 2]), i32(2)), f32(2)), ((f32([0, 0]), i32(1)), f32(0))),
        errors=(((f32([1]), i32(0)), "at least two classes"),),
    ),
    Case(partial(interpret.enlarged, size=(6, 8)), inputs(normal(2, 3, 4)), (0,), oracle=_enlarged),
    Case(
        interpret.largest_part, inputs(_masks(2, 4, 5)), (), None, oracle=_largest_part,
        edges=(((np.zeros((1, 2, 2), bool),), np.zeros((1, 2, 2), bool)),),
    ),
    Case(partial(interpret.salient_region, quantile=0.6), inputs(normal(2, 4, 5)), (), None, oracle=_salient),
    Case(
        interpret.region_box, inputs(_masks(3, 4, 5)), (), None,
        edges=(
            ((np.ones((1, 2, 3), bool),), f32([0, 0, 3, 2])),
            ((np.zeros((1, 2, 3), bool),), f32([0, 0, 0, 0])),
        ),
    ),
    Case(
        interpret.total_variation, inputs(normal(2, 3, 4, 2)), (0,), "float32",
        edges=(((np.ones((1, 1, 1, 1), np.float32),), f32(0)),),
        oracle=lambda x: (np.diff(x, axis=1) ** 2).sum((1, 2, 3)) + (np.diff(x, axis=2) ** 2).sum((1, 2, 3)),
    ),
    Case(
        interpret.zero_share, inputs(_rectified(6, 2, 3)), (), "float32",
        oracle=lambda x: (x == 0).mean((0, 1)),
        edges=(((f32([np.nan], [0]),), f32(0.5)),),
    ),
    Case(
        partial(interpret.saturated_share, low=-1.0, high=1.0), inputs(uniform(6, 2, 3, low=-1.0)), (), "float32",
        oracle=lambda x: ((x <= -0.9) | (x >= 0.9)).mean((0, 1)),
        edges=(((f32([1], [-1], [0], [0]),), f32(0.5)),),
    ),
    Case(
        _counts, inputs(normal(30)), (), None, oracle=lambda x: np.histogram(x, bins=4)[0],
        edges=(((f32(3, 3),), i32(0, 0, 2, 0)), ((f32(np.nan, 1),), i32(0, 0, 1, 0))),
    ),
    Case(
        _edges, inputs(normal(30)), (), "float32", oracle=lambda x: np.histogram(x, bins=4)[1],
        edges=(((f32(3, 3),), f32(2.5, 2.75, 3, 3.25, 3.5)),),
    ),
    Case(
        interpret.layer_norms, inputs(lambda rng: {"a": normal(9)(rng)}), (), "float32",
        oracle=lambda tree: {name: np.linalg.norm(x) for name, x in tree.items()},
    ),
    Case(
        interpret.fit_pca, inputs(normal(7, 4)), (), "float32", oracle=_principal,
        errors=(((np.ones((1, 3), np.float32),), "at least two points"),),
    ),
    Case(
        interpret.project,
        inputs(lambda rng: interpret.PCA(f32(1, 0), f32([0, 1]), f32(1), f32(1)), normal(3, 2)), (), "float32",
        oracle=lambda pca, x: (x - pca.mean) @ pca.components.T,
    ),
]  # fmt: skip
