import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from fjdl.boxes import overlap
from fjdl.losses import boxes
from tests.boxes import oracles
from tests.support import float64

pytestmark = pytest.mark.fuzz

LOSSES = {"iou": boxes.iou_loss, "giou": boxes.giou_loss, "diou": boxes.diou_loss, "ciou": boxes.ciou_loss}
PAIRWISE = {name: getattr(overlap, f"pairwise_{name}") for name in LOSSES}
EDGES = np.array([0.0, -0.0, 1.0, 2.0, 3.0, 1e-6, -1.0, 1e4, -1e4])


@jax.jit
def values_and_gradients(a, b):
    found = {}
    for name, loss in LOSSES.items():
        values, pull = jax.vjp(loss, a, b)
        found[name] = values, pull(jnp.ones_like(values))
    return found


every_pair = jax.jit(lambda a, b: {name: function(a, b) for name, function in PAIRWISE.items()})


def upright(x):
    return np.concatenate([np.minimum(x[..., :2], x[..., 2:]), np.maximum(x[..., :2], x[..., 2:])], -1)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.sampled_from([1e-3, 1.0, 1e4]), st.sampled_from([0.0, 1.0, 1e4]))
def test_values_and_gradients_equal_the_formula_in_torch(seed, scale, offset):
    rng = np.random.default_rng(seed)
    a, b = (offset + scale * upright(rng.uniform(-1, 1, (8, 4)) * rng.uniform(0.01, 1, (8, 1))) for _ in range(2))
    lost = 1e-14 * offset / scale  # digits of boxes that are small and far from the origin
    with float64():
        found = values_and_gradients(a, b)
    for name, (values, gradients) in found.items():
        tensors = [torch.tensor(x, requires_grad=True) for x in (a, b)]
        expected = 1 - getattr(oracles, name)(*tensors)
        expected.sum().backward()
        np.testing.assert_allclose(values, expected.detach(), rtol=1e-9, atol=1e-10 + lost)
        for ours, theirs in zip(gradients, tensors, strict=True):
            theirs = 0 if theirs.grad is None else theirs.grad.numpy()
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=(1e-8 + 10 * lost) / scale)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.booleans())
def test_ties_points_lines_and_inverted_boxes_have_the_value_of_the_formula(seed, inverted):
    rng = np.random.default_rng(seed)
    a, b = (rng.choice(EDGES, (8, 4)) for _ in range(2))
    if not inverted:
        a, b = upright(a), upright(b)
    with float64():
        found = values_and_gradients(a, b)
        pairs = every_pair(a, b)
    for name, (values, gradients) in found.items():
        expected = 1 - getattr(oracles, name)(torch.tensor(a), torch.tensor(b))
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)
        assert all(np.isfinite(g).all() for g in gradients)
        expected = getattr(oracles, name)(torch.tensor(a)[:, None], torch.tensor(b)[None])
        np.testing.assert_allclose(pairs[name], expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.floats(-15, 15))
def test_float32_values_are_near_float64_and_in_their_range_at_every_scale(seed, exponent):
    rng = np.random.default_rng(seed)
    a, b = (np.float32(10**exponent * upright(rng.uniform(-1, 1, (8, 4)))) for _ in range(2))
    for name, (values, gradients) in values_and_gradients(a, b).items():
        expected = 1 - getattr(oracles, name)(torch.tensor(a).double(), torch.tensor(b).double())
        np.testing.assert_allclose(values, expected, rtol=3e-5, atol=3e-6)
        assert all(np.isfinite(g).all() for g in gradients)
