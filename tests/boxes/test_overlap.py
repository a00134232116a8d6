from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pycocotools.mask
import pytest
import torch

from fjdl.boxes import convert, overlap
from tests.boxes import oracles
from tests.support import float64

area, intersection = jax.jit(overlap.area), jax.jit(overlap.intersection)
ALIGNED = iou, giou, diou, ciou = [jax.jit(f) for f in (overlap.iou, overlap.giou, overlap.diou, overlap.ciou)]
PAIRWISE = pairwise_iou, pairwise_giou, pairwise_diou, pairwise_ciou = [
    jax.jit(f) for f in (overlap.pairwise_iou, overlap.pairwise_giou, overlap.pairwise_diou, overlap.pairwise_ciou)
]


@partial(jax.jit, static_argnums=0)
def value_and_gradients(function, a, b):
    values, pull = jax.vjp(function, a, b)
    return values, pull(jnp.ones_like(values))


def some_boxes(rng, *shape):
    low = rng.uniform(0, 4, (*shape, 2))
    return np.concatenate([low, low + rng.uniform(0.1, 5, (*shape, 2))], -1)


def test_ciou_equals_the_formula_in_torch_with_a_constant_alpha_in_the_gradient(rng):
    a, b = some_boxes(rng, 20), some_boxes(rng, 20)
    tensors = [torch.tensor(x, requires_grad=True) for x in (a, b)]
    expected = oracles.ciou(*tensors)
    expected.sum().backward()
    with float64():
        values, gradients = value_and_gradients(ciou, a, b)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12, atol=1e-14)
    for ours, theirs in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-13)


def test_iou_equals_that_of_coco(rng):
    a, b = some_boxes(rng, 7), some_boxes(rng, 5)
    sizes = [np.asarray(convert.to_corner_size(x.astype(np.float32)), np.float64) for x in (a, b)]
    theirs = pycocotools.mask.iou(*sizes, np.zeros(5))
    np.testing.assert_allclose(pairwise_iou(a, b), theirs, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(("aligned", "pairwise"), list(zip(ALIGNED, PAIRWISE, strict=True)))
def test_the_diagonal_of_the_pairwise_form_is_the_aligned_one(rng, aligned, pairwise):
    a, b = (some_boxes(rng, 4).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(np.diagonal(pairwise(a, b)), aligned(a, b), rtol=1e-6, atol=1e-7)


def test_worked_overlap_of_two_squares():
    a, b = np.float32([0, 0, 2, 2]), np.float32([1, 1, 3, 3])  # share 1 of 7; hull 9, diagonal² 18, centres √2 apart
    assert area(a) == 4
    assert intersection(a, b) == 1
    assert iou(a, b) == pytest.approx(1 / 7)
    assert giou(a, b) == pytest.approx(1 / 7 - 2 / 9)
    assert diou(a, b) == pytest.approx(1 / 7 - 2 / 18)
    assert ciou(a, b) == pytest.approx(1 / 7 - 2 / 18)


def test_worked_aspect_term_of_ciou():
    a, b = np.float32([0, 0, 1, 1]), np.float32([0, 0, 2, 1])  # IoU 1/2, centres 1/2 apart, diagonal² 5
    v = 4 / np.pi**2 * (np.arctan(2) - np.pi / 4) ** 2
    assert ciou(a, b) == pytest.approx(0.5 - 0.25 / 5 - v * v / (0.5 + v), rel=1e-6)


ODD = np.float32(
    [
        [0, 0, 0, 0],
        [5, 5, 5, 9],
        [5, 5, 9, 5],
        [3, 3, 1, 1],
        [1, 2, 0, 8],
        [0, 0, 1, 1],
        [0, 0, 1e-12, 1e-12],
        [0, 0, 9, 9],
    ]
)


@pytest.mark.parametrize("pairwise", [pairwise_giou, pairwise_ciou], ids=lambda f: f.__name__)
def test_points_lines_inverted_and_tiny_boxes_have_bounded_values_and_finite_gradients(pairwise):
    values, gradients = value_and_gradients(pairwise, ODD, ODD)
    low = -1.5 if pairwise is pairwise_ciou else -1.0
    assert ((low - 1e-6 <= np.asarray(values)) & (np.asarray(values) <= 1 + 1e-6)).all()
    assert all(np.isfinite(g).all() for g in gradients)


def test_disjoint_boxes_have_no_gradient_of_iou_but_are_drawn_together_by_the_others():
    a, b = np.float32([[0, 0, 1, 1]] * 4), np.float32([[3, 0, 4, 1]] * 4)
    assert not value_and_gradients(iou, a, b)[1][0].any()
    for function in (giou, diou):
        gradient = np.asarray(value_and_gradients(function, a, b)[1][0])
        assert (gradient[:, 0] + gradient[:, 2] > 0).all()


def test_integer_boxes_are_measured_in_float32():
    values = pairwise_iou(np.int32([[0, 0, 2, 2]]), np.uint8([[1, 1, 3, 3], [200, 0, 255, 9]]))
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, [[1 / 7, 0]], rtol=1e-6)


def test_lists_without_boxes_have_no_overlaps():
    none, one = np.zeros((0, 4), np.float32), np.float32([[0, 0, 1, 1]])
    assert jax.eval_shape(pairwise_ciou, none, one).shape == (0, 1)
    assert jax.eval_shape(pairwise_giou, one, none).shape == (1, 0)
    assert diou(none, none).shape == (0,)
