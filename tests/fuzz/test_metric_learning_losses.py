import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from fjdl.losses import contrastive, triplet
from tests.losses import oracles
from tests.losses.test_triplet import semi_hard_by_loops
from tests.support import float64

pytestmark = pytest.mark.fuzz

N, D = 6, 3
TIES = np.array([0.0, -0.0, 1.0, -1.0, 2.0])
SCALES = st.sampled_from([1e-12, 1e-3, 1.0, 1e3, 1e12])


def with_gradients(loss):
    def call(*arrays):
        values, pull = jax.vjp(loss, *arrays)
        return values, pull(jnp.ones_like(values))

    return call


def in_torch(loss, *arrays):
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    values = loss(*tensors)
    values.sum().backward()
    return values.detach().numpy(), [x.grad.numpy() for x in tensors]


def assert_same(ours, theirs, *, near=1e-9):
    np.testing.assert_allclose(ours[0], theirs[0], rtol=near, atol=near)
    for gradient, expected in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e3 * near, atol=near * (1 + np.abs(expected).max()))


triplets = {
    p: jax.jit(with_gradients(lambda a, b, c, p=p: triplet.triplet_margin_loss(a, b, c, p=p)))
    for p in (1.0, 2.0, 3.0, np.inf)
}


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), SCALES, st.sampled_from(list(triplets)))
def test_triplet_losses_equal_torch(seed, scale, p):
    rng = np.random.default_rng(seed)
    arrays = [scale * rng.standard_normal((N, D)) for _ in range(3)]

    def theirs(a, b, c):
        return torch.nn.functional.triplet_margin_loss(a, b, c, p=p, eps=0, reduction="none")

    with float64():
        ours = triplets[p](*arrays)
    expected = in_torch(theirs, *arrays)
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-9, atol=1e-12)
    for gradient, slope in zip(ours[1], expected[1], strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=1e-9)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.sampled_from(list(triplets)), st.booleans())
def test_triplets_of_ties_and_zeros_have_the_value_of_torch_and_finite_gradients(seed, p, single):
    rng = np.random.default_rng(seed)
    arrays = [rng.choice(TIES, (N, D)) * (rng.random((N, 1)) < 0.8) for _ in range(3)]
    expected = torch.nn.functional.triplet_margin_loss(*map(torch.tensor, arrays), p=p, eps=0, reduction="none")
    with float64():
        values, gradients = triplets[p](*(np.float32(x) if single else x for x in arrays))
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)
    assert all(np.isfinite(g).all() for g in gradients)


mine = {
    squared: jax.jit(lambda x, y, s=squared: triplet.semi_hard_triplets(x, y, squared=s)) for squared in (False, True)
}
mine_hard = jax.jit(triplet.hard_triplets)


def hard_by_loops(x, labels):
    distance = np.linalg.norm(x[:, None].astype(np.float64) - x[None], axis=-1)
    found = {}
    for a in range(len(x)):
        same = [j for j in range(len(x)) if j != a and labels[j] == labels[a]]
        other = [j for j in range(len(x)) if labels[j] != labels[a]]
        if same and other:
            found[a] = max(same, key=lambda j: distance[a, j]), min(other, key=lambda j: distance[a, j])
    return found


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from([False, True]), st.booleans())
def test_mined_triplets_are_those_of_loops_over_all(seed, classes, squared, ties):
    rng = np.random.default_rng(seed)
    x = np.float32(rng.choice([0.0, 0.5, 1.0, 2.0], (8, 1)) if ties else rng.standard_normal((8, 1)))
    labels = rng.integers(0, classes, 8)
    chosen = [np.asarray(part) for part in mine[squared](x, labels)]
    found = {(int(a), int(p)): int(n) for a, p, n, valid in zip(*chosen, strict=True) if valid}
    if ties or not squared:  # squares of differences are exact in float32 only then
        assert found == semi_hard_by_loops(x, labels, 1.0, squared)
    chosen = [np.asarray(part) for part in mine_hard(x, labels)]
    found = {int(a): (int(p), int(n)) for a, p, n, valid in zip(*chosen, strict=True) if valid}
    assert found == hard_by_loops(x, labels)


nt_xent = {
    t: jax.jit(with_gradients(lambda a, b, t=t: contrastive.nt_xent_loss(a, b, temperature=t))) for t in (1e-3, 0.5)
}


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), SCALES, st.sampled_from(list(nt_xent)))
def test_nt_xent_equals_loops_in_torch(seed, scale, temperature):
    rng = np.random.default_rng(seed)
    arrays = [scale * rng.standard_normal((4, D)) for _ in range(2)]
    with float64():
        ours = nt_xent[temperature](*arrays)
    assert_same(ours, in_torch(lambda a, b: oracles.nt_xent(a, b, temperature), *arrays), near=1e-8)


@jax.jit
def supervised_with_gradients(x, labels):
    return with_gradients(lambda x: contrastive.supervised_contrastive_loss(x, labels))(x)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), SCALES, st.integers(1, 6))
def test_supervised_contrastive_equals_loops_in_torch(seed, scale, classes):
    rng = np.random.default_rng(seed)
    x, labels = scale * rng.standard_normal((N, D)), rng.integers(0, classes, N)
    with float64():
        ours = supervised_with_gradients(x, labels)
    theirs = in_torch(lambda x: oracles.supervised_contrastive(x, torch.tensor(labels), 0.1), x)
    assert_same(ours, theirs, near=1e-8)


@jax.jit
def contrastive_with_gradients(a, b, same):
    return with_gradients(lambda a, b: contrastive.contrastive_loss(a, b, same))(a, b)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.sampled_from([1e-3, 0.3, 1.0, 1e3]), st.booleans())
def test_contrastive_equals_its_formula_in_torch(seed, scale, ties):
    rng = np.random.default_rng(seed)
    a, b = (scale * (rng.choice(TIES, (N, D)) if ties else rng.standard_normal((N, D))) for _ in range(2))
    same = rng.random(N) < 0.5

    def theirs(a, b):
        distance = torch.nn.functional.pairwise_distance(a, b, eps=0)
        return torch.where(torch.tensor(same), distance**2, (1 - distance).clamp(min=0) ** 2) / 2

    with float64():
        ours = contrastive_with_gradients(a, b, same)
    assert_same(ours, in_torch(theirs, a, b))
