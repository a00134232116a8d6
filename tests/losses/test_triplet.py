from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.losses import reduce, triplet
from tests.support import float64

LINE = np.float32([0, 1, 3, 4, 9])[:, None]  # points on a line, so that every distance is seen
SIDES = np.array([0, 0, 1, 0, 1])


triplet_margin_loss = jax.jit(triplet.triplet_margin_loss, static_argnames=("margin", "p", "squared"))
hard_triplets = jax.jit(triplet.hard_triplets)
semi_hard_triplets = jax.jit(triplet.semi_hard_triplets, static_argnames=("margin", "squared"))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, np.inf])
def test_equals_torch_without_its_epsilon_in_value_and_gradient(rng, p):
    arrays = [rng.standard_normal((9, 3)) for _ in range(3)]
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected = torch.nn.functional.triplet_margin_loss(*tensors, p=p, eps=0, reduction="none")
    expected.sum().backward()
    with float64():
        values, pull = jax.vjp(partial(triplet_margin_loss, p=p), *arrays)
        gradients = pull(jnp.ones_like(values))
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12)
    for ours, theirs in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-13)


def test_squared_distances_are_those_of_facenet():
    a, p, n = np.float32([0, 0]), np.float32([3, 4]), np.float32([0, 5])
    assert triplet_margin_loss(a, p, n, margin=0.2, squared=True) == pytest.approx(0.2)
    assert triplet_margin_loss(a, p, 2 * n, margin=0.2, squared=True) == 0
    assert triplet_margin_loss(a, p, 0 * n, margin=0.2, squared=True) == pytest.approx(25.2)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("p", [2.0, 3.0])
def test_distances_far_from_one_neither_overflow_nor_vanish(scale, p):
    a, near, far = np.float32([0, 0]), np.float32([0, scale]), np.float32([scale, -scale])
    value = triplet_margin_loss(a, far, near, margin=0, p=p)
    assert value == pytest.approx(scale * (2 ** (1 / p) - 1), rel=1e-5)


def test_the_hinge_has_no_gradient_where_it_is_exactly_zero():
    a, p, n = jnp.array([0.0]), jnp.array([1.0]), jnp.array([2.0])
    value, gradient = jax.value_and_grad(triplet_margin_loss)(a, p, n)
    assert value == 0
    assert gradient == 0


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"p": 0.5}, "p must be at least 1, got 0.5"),
        ({"margin": -1.0}, "margin must be finite and not negative, got -1.0"),
    ],
)
def test_bad_options_are_refused(options, rule):
    with pytest.raises(ValueError, match=f"^{rule}$"):
        triplet.triplet_margin_loss(*[np.zeros(2, np.float32)] * 3, **options)


def test_hard_triplets_are_the_farthest_positive_and_the_nearest_negative():
    chosen = hard_triplets(LINE, SIDES)
    np.testing.assert_array_equal(chosen.anchor, [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(chosen.positive, [3, 3, 4, 0, 2])
    np.testing.assert_array_equal(chosen.negative, [2, 2, 3, 2, 3])
    assert chosen.valid.all()


def test_semi_hard_triplets_have_the_nearest_negative_beyond_the_positive():
    chosen = semi_hard_triplets(LINE, SIDES, margin=2.5)
    found = {(int(a), int(p)): int(n) for a, p, n, valid in zip(*chosen, strict=True) if valid}
    assert found == {(0, 1): 2, (1, 0): 2, (3, 0): 4, (3, 1): 4, (4, 2): 1}
    wider = semi_hard_triplets(LINE, SIDES, margin=9.5, squared=True)
    found = {(int(a), int(p)) for a, p, _, valid in zip(*wider, strict=True) if valid}
    assert found == {(0, 1), (1, 0), (3, 0)}


def semi_hard_by_loops(x, labels, margin, squared):
    """The triplets that a reader of the definition finds, as {(anchor, positive): negative}."""
    power = 2 if squared else 1
    distance = np.sqrt(((x[:, None].astype(np.float64) - x[None]) ** 2).sum(-1)) ** power
    found = {}
    for a in range(len(x)):
        for p in range(len(x)):
            if p == a or labels[p] != labels[a]:
                continue
            beyond = [
                n for n in range(len(x))
                if labels[n] != labels[a] and distance[a, p] < distance[a, n] < distance[a, p] + margin
            ]  # fmt: skip
            if beyond:
                found[a, p] = min(beyond, key=lambda n: distance[a, n])
    return found


@pytest.mark.parametrize("squared", [False, True])
def test_mining_equals_loops_over_all_triplets(rng, squared):
    mine = partial(semi_hard_triplets, squared=squared)
    for _ in range(4):
        x, labels = np.float32(rng.standard_normal((12, 3))), rng.integers(0, 3, 12)
        chosen = [np.asarray(part) for part in mine(x, labels)]
        found = {(int(a), int(p)): int(n) for a, p, n, valid in zip(*chosen, strict=True) if valid}
        assert found == semi_hard_by_loops(x, labels, 1.0, squared)


@pytest.mark.parametrize("mine", [hard_triplets, semi_hard_triplets])
def test_rows_that_the_mask_leaves_out_are_in_no_triplet(rng, mine):
    x, labels, mask = np.float32(rng.standard_normal((8, 2))), np.arange(8) % 2, np.arange(8) < 5
    x[5:] = np.nan
    chosen = [np.asarray(part) for part in mine(x, labels, mask=mask)]
    assert chosen[3].any()
    assert all((part[chosen[3]] < 5).all() for part in chosen[:3])


@pytest.mark.parametrize("mine", [hard_triplets, semi_hard_triplets])
@pytest.mark.parametrize("labels", [[], [3], [1, 1, 1, 1], [0, 1, 2, 3]])
def test_without_both_classes_or_pairs_no_triplet_is_valid(mine, labels):
    chosen = mine(np.zeros((len(labels), 2), np.float32), np.array(labels, int))
    assert not chosen.valid.any()


def test_of_ties_the_first_row_is_taken():
    chosen = hard_triplets(np.zeros((4, 2), np.float32), np.array([0, 0, 1, 1]))
    np.testing.assert_array_equal(chosen.positive, [1, 0, 3, 2])
    np.testing.assert_array_equal(chosen.negative, [2, 2, 0, 0])


def test_mining_sees_small_distances_far_from_the_origin():
    x = np.float32([4096, 4096.5, 4097.5])[:, None]
    chosen = semi_hard_triplets(x, np.array([0, 0, 1]), margin=0.75)
    assert [int(n) for n, valid in zip(chosen.negative, chosen.valid, strict=True) if valid] == [2]


def test_a_batch_is_mined_and_descended_in_one_jitted_function(rng):
    x, labels = jnp.asarray(rng.standard_normal((12, 4)), jnp.float32), jnp.asarray(np.arange(12) % 3)

    @jax.jit
    def descend(x):
        def loss(x):
            t = hard_triplets(x, labels)
            values = triplet_margin_loss(x[t.anchor], x[t.positive], x[t.negative])
            return reduce.mean(values, mask=t.valid)

        def step(x, _):
            value, gradient = jax.value_and_grad(loss)(x)
            return x - 0.5 * gradient, value

        return jax.lax.scan(step, x, None, length=200)[1]

    values = descend(x)
    assert values[0] > 1
    assert values[-1] < 0.1
