import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from fjdl.functional import most_similar, nearest_neighbours


@pytest.mark.parametrize("block", [1000, 7, 50])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_are_those_of_scikit_learn_however_many_are_compared_at_a_time(
    rng: np.random.Generator, block: int, metric: str
) -> None:
    entries, queries = (rng.standard_normal((n, 5)).astype(np.float32) for n in (50, 9))
    function = nearest_neighbours if metric == "euclidean" else most_similar
    found = jax.jit(lambda x, y: function(x, y, k=6, block=block))(queries, entries)
    away, indices = NearestNeighbors(n_neighbors=6, algorithm="brute", metric=metric).fit(entries).kneighbors(queries)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.values, away if metric == "euclidean" else 1 - away, rtol=1e-5, atol=1e-6)


def test_of_equal_distances_the_lower_index_comes_first_across_blocks() -> None:
    entries = jnp.array([[2.0], [1.0], [-1.0], [1.0], [0.0], [0.0]])
    found = nearest_neighbours(jnp.zeros((1, 1)), entries, k=6, block=4)
    np.testing.assert_array_equal(found.indices, [[4, 5, 1, 2, 3, 0]])
    np.testing.assert_array_equal(found.values, [[0, 0, 1, 1, 1, 2]])


def test_what_is_not_there_is_missing() -> None:
    """Entries that do not count, that hold NaN, or that are fewer than asked for."""
    entries = jnp.array([[0.0], [np.nan], [3.0], [5.0]])
    valid = jnp.array([False, True, True, True])
    found = nearest_neighbours(jnp.zeros((2, 1)), entries, valid, k=3)
    np.testing.assert_array_equal(found.indices, [[2, 3, -1]] * 2)
    np.testing.assert_array_equal(found.values, [[3, 5, np.inf]] * 2)
    none = most_similar(jnp.ones((1, 2)), jnp.zeros((0, 2)), k=2)
    np.testing.assert_array_equal(none.indices, [[-1, -1]])
    np.testing.assert_array_equal(none.values, [[-np.inf, -np.inf]])
    with pytest.raises(ValueError, match=r"^k must be at least 1, got 0$"):
        nearest_neighbours(jnp.zeros((1, 1)), entries, k=0)


def test_a_query_that_is_an_entry_has_the_distance_0_and_no_nan_gradient() -> None:
    entries = jnp.array([[1.0, 2.0], [4.0, 6.0]])
    gradient = jax.grad(lambda x: nearest_neighbours(x, entries, k=2).values.sum())(entries[:1])
    np.testing.assert_allclose(gradient, [[-0.6, -0.8]], rtol=1e-6)


def test_memory_grows_with_the_block_and_not_with_the_entries() -> None:
    """A million entries of 128 numbers, 64 queries: temporaries of a few blocks of scores."""
    shapes = jax.ShapeDtypeStruct((64, 128), jnp.float32), jax.ShapeDtypeStruct((1_000_000, 128), jnp.float32)
    compiled = jax.jit(lambda x, y: nearest_neighbours(x, y, k=10)).lower(*shapes).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 48 * 2**20
