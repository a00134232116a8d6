from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import metrics
from fjdl.metrics.base import measure
from tests.metrics.retrieval.oracles import of_embeddings, of_neighbours

KS = (1, 2, 5)


def assert_same(ours, expected, rtol=2e-6):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=rtol), tuple(ours), tuple(expected))


def clouds(rng, n, classes=4, d=6):
    labels = rng.integers(0, classes, n)
    centres = rng.standard_normal((classes, d))
    return (centres[labels] + 0.8 * rng.standard_normal((n, d))).astype(np.float32), labels


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_embeddings_score_as_by_sorting_all_cosines_whatever_the_block(rng, block):
    x, labels = clouds(rng, 40)
    assert_same(metrics.embedding_retrieval(x, labels, ks=KS, block=block), of_embeddings(x, labels, ks=KS))
    traced = jax.jit(partial(metrics.embedding_retrieval, ks=KS, block=block))(x, labels)
    assert_same(traced, of_embeddings(x, labels, ks=KS))


def test_queries_beside_a_gallery_leave_nothing_out(rng):
    (x, labels), (gallery, names) = clouds(rng, 9), clouds(rng, 30)
    ours = metrics.embedding_retrieval(x, labels, gallery, names, ks=KS)
    assert_same(ours, of_embeddings(x, labels, gallery, names, ks=KS))


def test_weights_weigh_queries_and_leave_the_neighbours_as_they_are(rng):
    x, labels = clouds(rng, 20)
    for weights in (rng.random(20).astype(np.float32), rng.random(20) < 0.5):
        ours = metrics.embedding_retrieval(x, labels, ks=KS, weights=weights)
        assert_same(ours, of_embeddings(x, labels, ks=KS, weights=weights.astype(float)), rtol=1e-5)


def test_a_class_with_one_example_is_no_query_but_a_neighbour():
    x = np.float32([[1, 0], [1, 0.1], [1, 0.3], [0, 1]])
    scores = metrics.embedding_retrieval(x, np.array([0, 1, 0, 2]), ks=(1, 2))
    np.testing.assert_allclose(scores.recall, [0, 1])
    np.testing.assert_allclose(scores.precision, [0, 0.5])
    np.testing.assert_allclose([scores.r_precision, scores.map_at_r, scores.reciprocal_rank], [0, 0, 0.5])


def test_equal_similarities_go_by_the_lower_index():
    x = np.float32([[1, 0], [0, 1], [0, 1], [0, 1]])
    for labels, first in (([0, 0, 1, 1], 1), ([0, 1, 0, 1], 0.5), ([0, 1, 1, 0], 1 / 3)):
        query = metrics.embedding_retrieval(x[:1], np.array([0]), x[1:], np.array(labels[1:]))
        assert query.reciprocal_rank == pytest.approx(first)
        assert query.recall[0] == (first == 1)


def test_the_example_of_musgrave():
    """R = 10; of the nearest ten, the first and the tenth are of the class: R-precision 0.2, MAP@R (1 + 0.2) / 10."""
    nearest = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 1]])
    scores = measure(metrics.neighbour_retrieval(ks=(1,)), nearest, np.array([1]), np.array([10]))
    np.testing.assert_allclose([scores.r_precision, scores.map_at_r, scores.reciprocal_rank], [0.2, 0.12, 1])


def test_batches_of_neighbours_merge(rng):
    neighbours, labels, others = rng.integers(0, 3, (8, 6)), rng.integers(0, 3, 8), rng.integers(0, 7, 8)
    metric = metrics.neighbour_retrieval(ks=KS)
    update = jax.jit(metric.update)
    parts = [update(metric.init(), neighbours[i::2], labels[i::2], others[i::2]) for i in (0, 1)]
    assert_same(metric.compute(metric.merge(*parts)), of_neighbours(neighbours, labels, others, ks=KS))


def test_another_similarity_gives_another_order():
    x, labels = np.float32([[1, 0], [9, 0], [1, 0.5]]), np.array([0, 0, 1])

    def nearness(a, b):
        return -jnp.sum(jnp.square(a[:, None] - b[None]), axis=-1)

    assert metrics.embedding_retrieval(x, labels).recall[0] == 1
    assert metrics.embedding_retrieval(x, labels, similarity=nearness).recall[0] == 0.5


def test_nothing_seen_is_nan_and_options_outside_their_range_are_refused():
    empty = metrics.embedding_retrieval(np.zeros((0, 3), np.float32), np.zeros(0, int))
    assert all(np.isnan(x).all() for x in empty)
    with pytest.raises(ValueError, match=r"^ks must be at least 1, got \[0\]$"):
        metrics.neighbour_retrieval(ks=(0,))
    with pytest.raises(ValueError, match=r"^ks must hold a number, got none$"):
        metrics.neighbour_retrieval(ks=())
    with pytest.raises(ValueError, match=r"^block must be at least 1, got 0$"):
        metrics.embedding_retrieval(np.ones((2, 3), np.float32), np.zeros(2, int), block=0)


@pytest.mark.by_day_on_pin(1)
def test_batches_of_embeddings_score_as_all_at_once_and_places_left_over_are_no_neighbours(rng):
    x, labels = clouds(rng, 30)
    metric = metrics.collected_retrieval(6, capacity=37, ks=KS, block=8)
    kept = rng.random(30) < 0.8
    first, second = metric.init(), metric.init()
    first = metric.update(first, x[:11], labels[:11], weights=kept[:11])
    second = metric.update(second, x[11:], labels[11:], weights=kept[11:].astype(np.float32))
    expected = of_embeddings(x[kept], labels[kept], ks=KS)
    assert_same(jax.jit(metric.compute)(metric.merge(first, second)), expected, rtol=1e-5)
    full = metrics.collected_retrieval(6, capacity=int(kept.sum()) - 1, ks=KS)
    over = full.compute(full.update(full.init(), x, labels, weights=kept))
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(over))
    with pytest.raises(ValueError, match=r"^embeddings must have 6 dimensions, got shape \(30, 5\)$"):
        metric.update(metric.init(), x[:, :5], labels)
