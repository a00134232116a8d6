"""Rows of pooling, unpooling, resizing and rearranging."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fjdl.functional import rearrange, resize
from fjdl.functional.pool import adaptive, fixed as pool, norm as pool_norm, time, unpool
from tests.cases.case import Case, f32, i32, inputs, normal, of_torch, uniform

INF, NAN = np.inf, np.nan
SEQUENCE, IMAGE, VOLUME = inputs(normal(2, 7, 3)), inputs(normal(2, 5, 6, 3)), inputs(normal(1, 5, 4, 5, 2))
DEEP = inputs(normal(2, 2, 3, 8))
POSITIVE = inputs(uniform(2, 5, 6, 3, low=0.1, high=2.0))


def channels_first(name: str, *options: Any, **named: Any) -> Callable[..., Any]:
    """A function of torch.nn.functional on channels-first arrays, for the same on channels-last ones."""

    def call(*tensors: Any) -> Any:
        import torch

        first = [t.movedim(-1, 1) for t in tensors]
        return getattr(torch.nn.functional, name)(*first, *options, **named)

    def back(*arrays: Any) -> Any:
        found = of_torch(call)(*arrays)
        return tuple(np.moveaxis(y, 1, -1) for y in found) if isinstance(found, tuple) else np.moveaxis(found, 1, -1)

    return back


def image(*rows: Any) -> tuple[np.ndarray]:
    """One image of one channel."""
    return (f32(*rows)[None, :, :, None],)


def places(rng: np.random.Generator) -> np.ndarray:
    """A place of a 4×5 image for each of 2×3 entries, different ones in each channel."""
    return np.stack([rng.permutation(20)[:6] for _ in range(8)], -1).reshape(1, 2, 3, 8).astype(np.int32)


def maxima_and_places(x: Any) -> tuple[Any, Any]:
    values, indices = unpool.max_pool2d_with_indices(x, window=3, stride=2, padding=1, ceil_mode=True)
    return values, indices.astype(values.dtype)


def of_steps(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the real steps of one sequence, [length, d], for a batch with lengths as the last argument."""

    def call(*arrays: Any) -> Any:
        *sequences, lengths = arrays
        rows = [[x[i, :length] for x in sequences] for i, length in enumerate(lengths)]
        return np.stack([reduce(*row) for row in rows])

    return call


def softly(x: Any, scores: Any) -> Any:
    weights = np.exp(scores - scores.max())
    return weights @ x / weights.sum()


def lengths(rng: np.random.Generator) -> np.ndarray:
    """From 1 to 5 for three sequences."""
    return rng.integers(1, 6, 3).astype(np.int32)


STEPS = f32([[1, -5], [3, -7], [NAN, NAN]], [[NAN, NAN], [INF, NAN], [1, 1]], [[1, NAN], [3, -7], [3, INF]])
COUNTED = i32(2, 0, 4)
ALL_BELOW = image([-INF, -INF, -INF], [-INF, -INF, -INF])

CASES: list[Case] = [
    Case(
        partial(pool.average_pool2d, window=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        IMAGE,
        (0,),
        label="of-entries",
        oracle=channels_first("avg_pool2d", 3, 2, 1, True, False),
        edges=((image([4.0]), f32(4.0).reshape(1, 1, 1, 1)),),
        errors=(((np.ones((4, 4), np.float32),), "must be Float"),),
    ),
    Case(
        partial(pool.average_pool1d, window=3, stride=2, padding=((1, 1),)),
        SEQUENCE,
        (0,),
        oracle=channels_first("avg_pool1d", 3, 2, 1),
    ),
    Case(
        partial(pool.average_pool3d, window=(2, 3, 2), stride=(2, 1, 2), padding=1, ceil_mode=True),
        VOLUME,
        (0,),
        oracle=channels_first("avg_pool3d", (2, 3, 2), (2, 1, 2), 1, True),
    ),
    Case(
        partial(pool.max_pool2d, window=3, stride=2, ceil_mode=True),
        IMAGE,
        (0,),
        label="ceil",
        oracle=channels_first("max_pool2d", 3, 2, ceil_mode=True),
        edges=((image([1.0, NAN, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]), f32(NAN, 2.0).reshape(1, 1, 2, 1)),),
    ),
    Case(
        partial(pool.max_pool2d, window=(2, 3), stride=(2, 1), padding=1, dilation=(3, 2)),
        IMAGE,
        (0,),
        label="dilated",
        oracle=channels_first("max_pool2d", (2, 3), (2, 1), 1, (3, 2)),
        errors=((image([1.0, 2.0]), "the window must fit into the padded image, got window 2"),),
    ),
    Case(
        partial(pool.max_pool1d, window=3, dilation=2, stride=1, padding=1),
        SEQUENCE,
        (0,),
        oracle=channels_first("max_pool1d", 3, 1, 1, 2),
    ),
    Case(
        partial(pool.max_pool3d, window=3, stride=2, padding=1, ceil_mode=True),
        VOLUME,
        (0,),
        oracle=channels_first("max_pool3d", 3, 2, 1, ceil_mode=True),
    ),
    Case(
        partial(pool_norm.lp_pool2d, p=3.0, window=3, stride=2),
        POSITIVE,
        (0,),
        oracle=channels_first("lp_pool2d", 3.0, 3, 2),
        domain=(-1e30, 1e30),
        edges=(
            ((np.zeros((1, 3, 3, 1), np.float32),), np.zeros((1, 1, 1, 1))),
            ((np.full((1, 3, 3, 1), -1e-30, np.float32),), np.full((1, 1, 1, 1), 9e-90) ** (1 / 3)),
            (image([0, 0, 0], [0, INF, 0], [0, -3, 0]), np.full((1, 1, 1, 1), INF)),
        ),
    ),
    Case(
        pool.global_average_pool2d,
        IMAGE,
        (0,),
        oracle=lambda x: x.mean((1, 2)),
        errors=(((np.ones((2, 0, 3, 1), np.float32),), "the image must have pixels"),),
    ),
    Case(
        pool.global_max_pool2d,
        IMAGE,
        (0,),
        oracle=lambda x: x.max((1, 2)),
        edges=((ALL_BELOW, f32([-INF])), (image([1.0, NAN]), f32([NAN]))),
        errors=(((np.ones((2, 3, 0, 1), np.float32),), "the image must have pixels"),),
    ),
    Case(
        partial(adaptive.adaptive_average_pool2d, size=(3, 4)),
        IMAGE,
        (0,),
        oracle=channels_first("adaptive_avg_pool2d", (3, 4)),
        errors=(((np.ones((2, 0, 3, 1), np.float32),), "the image must have pixels"),),
    ),
    Case(
        partial(adaptive.adaptive_max_pool2d, size=(3, 8)),
        IMAGE,
        (0,),
        oracle=channels_first("adaptive_max_pool2d", (3, 8)),
    ),
    Case(
        partial(adaptive.adaptive_average_pool1d, size=3),
        SEQUENCE,
        (0,),
        oracle=channels_first("adaptive_avg_pool1d", 3),
        errors=(((np.ones((2, 0, 3), np.float32),), "the image must have pixels"),),
    ),
    Case(
        partial(adaptive.adaptive_average_pool3d, size=(2, 4, 3)),
        VOLUME,
        (0,),
        oracle=channels_first("adaptive_avg_pool3d", (2, 4, 3)),
    ),
    Case(
        partial(adaptive.adaptive_max_pool1d, size=(3,)),
        SEQUENCE,
        (0,),
        oracle=channels_first("adaptive_max_pool1d", 3),
        edges=(((f32([[1], [NAN], [3], [2]]),), f32([[NAN], [NAN], [3]])),),
    ),
    Case(
        partial(adaptive.adaptive_max_pool3d, size=2),
        VOLUME,
        (0,),
        oracle=channels_first("adaptive_max_pool3d", 2),
    ),
    Case(partial(adaptive.spatial_pyramid_pool2d, levels=(1, 2)), IMAGE, (0,)),
    Case(
        maxima_and_places,
        IMAGE,
        (0,),
        oracle=channels_first("max_pool2d", 3, 2, 1, ceil_mode=True, return_indices=True),
        edges=((ALL_BELOW, (np.full((1, 2, 2, 1), -INF), f32(0, 1, 3, 4).reshape(1, 2, 2, 1))),),
    ),
    Case(
        partial(unpool.max_unpool2d, size=(4, 5)),
        inputs(normal(1, 2, 3, 8), places),
        (0,),
        oracle=channels_first("max_unpool2d", 2, 2, 0, (4, 5)),
    ),
    Case(partial(unpool.nearest_unpool2d, window=(2, 3)), DEEP, (0,), oracle=lambda x: np.kron(x, np.ones((2, 3, 1)))),
    Case(
        partial(unpool.average_unpool2d, window=(2, 3)),
        DEEP,
        (0,),
        oracle=lambda x: np.kron(x, np.ones((2, 3, 1)) / 6),
    ),
    Case(
        partial(resize.resize2d, size=(3, 11), method="nearest"),
        IMAGE,
        (0,),
        label="nearest",
        oracle=channels_first("interpolate", (3, 11), mode="nearest"),
        errors=(((np.ones((2, 0, 3, 1), np.float32),), "the image must have pixels"),),
    ),
    Case(
        partial(resize.resize2d, size=(3, 11)),
        IMAGE,
        (0,),
        label="bilinear",
        oracle=channels_first("interpolate", (3, 11), mode="bilinear", align_corners=False),
    ),
    Case(
        partial(resize.resize2d, size=(2, 9), method="bicubic", antialias=True),
        IMAGE,
        (0,),
        label="bicubic-antialias",
        oracle=channels_first("interpolate", (2, 9), mode="bicubic", align_corners=False, antialias=True),
    ),
    Case(
        partial(rearrange.depth_to_space, block=2),
        DEEP,
        (0,),
        oracle=channels_first("pixel_shuffle", 2),
        errors=(
            ((np.ones((1, 2, 2, 6), np.float32),), r"block² must divide the channels, got block 2 and 6 channels"),
        ),
    ),
    Case(
        partial(rearrange.space_to_depth, block=2),
        inputs(normal(2, 4, 6, 3)),
        (0,),
        oracle=channels_first("pixel_unshuffle", 2),
        errors=(((np.ones((1, 4, 3, 2), np.float32),), r"block must divide height and width, got block 2"),),
    ),
    Case(
        partial(rearrange.channel_shuffle, groups=2),
        DEEP,
        (0,),
        oracle=channels_first("channel_shuffle", 2),
        errors=(((np.ones((1, 2, 2, 3), np.float32),), "groups must be at least 1 and divide the channels"),),
    ),
    Case(
        time.mean_over_time,
        inputs(normal(3, 5, 2), lengths),
        (0,),
        oracle=of_steps(lambda x: x.mean(axis=0)),
        edges=(((STEPS, COUNTED), f32([2, -6], [0, 0], [7 / 3, NAN])),),
    ),
    Case(
        time.max_over_time,
        inputs(normal(3, 5, 2), lengths),
        (0,),
        oracle=of_steps(lambda x: x.max(axis=0)),
        edges=(((STEPS, COUNTED), f32([3, -5], [0, 0], [3, NAN])), ((np.ones((1, 0, 2), np.float32),), f32([0, 0]))),
    ),
    Case(
        time.weighted_over_time,
        inputs(normal(3, 5, 2), normal(3, 5), lengths),
        (0, 1),
        oracle=of_steps(softly),
        edges=(((STEPS[:2], f32([1, 1, NAN], [NAN, INF, 1]), COUNTED[:2]), f32([2, -6], [0, 0])),),
    ),
]
