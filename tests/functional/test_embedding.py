from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import (
    adaptive_embedding,
    embedding,
    embedding_bag,
    embedding_dropout,
    one_hot,
    tied_logits,
    word_dropout,
)


def test_e92_rows_of_the_table_are_words_and_a_one_hot_vector_selects_one(rng: np.random.Generator) -> None:
    """The table is words by features, (W, A), and so a row is looked up; its transpose is the notes' E."""
    table, ids = jnp.asarray(rng.standard_normal((5, 3)), jnp.float32), jnp.array([[4, 0], [1, 4]])
    np.testing.assert_allclose(embedding(ids, table), one_hot(ids, classes=5) @ table, rtol=1e-6)
    np.testing.assert_allclose(embedding(ids, table)[0, 0], table.T @ one_hot(jnp.array(4), classes=5), rtol=1e-6)


@pytest.mark.parametrize("wrong", [-1, -5, 5, 2**31 - 1])
def test_an_id_outside_is_nan_under_jit_too_and_reaches_no_gradient(wrong: int) -> None:
    ids, table = jnp.array([1, wrong]), jnp.arange(10.0).reshape(5, 2)

    def total(table: Any) -> Any:
        rows = embedding(ids, table)
        return jnp.sum(rows[0]), rows

    slope, rows = jax.jit(jax.grad(total, has_aux=True))(table)
    np.testing.assert_array_equal(rows, [[2, 3], [np.nan, np.nan]])
    np.testing.assert_array_equal(slope, np.eye(5)[1][:, None] * np.ones((1, 2)))


def test_the_gradient_of_1000_equal_words_is_summed_in_float32() -> None:
    """In bfloat16 a sum of ones stops at 256."""
    ids = jnp.zeros(1000, jnp.int32)
    for dtype in (jnp.float32, jnp.bfloat16):
        table = jnp.ones((2, 1), dtype)
        slope = jax.grad(lambda table: jnp.sum(embedding(ids, table).astype(jnp.bfloat16).astype(jnp.float32)))(table)
        assert slope.dtype == dtype
        np.testing.assert_array_equal(slope.astype(jnp.float32), [[1000], [0]])


def test_whole_rows_are_dropped() -> None:
    table = embedding_dropout(jax.random.key(0), jnp.ones((4000, 3)), rate=0.25)
    np.testing.assert_array_equal(table, np.broadcast_to(table[:, :1], table.shape))
    assert set(np.unique(table)) == {0, np.float32(1 / 0.75)}
    assert np.mean(np.asarray(table)) == pytest.approx(1, abs=0.03)


def test_logits_of_a_tied_table_give_it_the_gradients_of_both_uses(rng: np.random.Generator) -> None:
    table, ids = jnp.asarray(rng.standard_normal((4, 3)), jnp.float32), jnp.array([2, 0])
    slope = jax.grad(lambda table: jnp.sum(tied_logits(embedding(ids, table), table)))(table)
    rows = table[ids]
    expected = np.broadcast_to(rows.sum(0), table.shape) + np.asarray(jnp.zeros((4, 3)).at[ids].add(table.sum(0)))
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


def test_words_are_dropped_one_by_one_at_the_rate_and_keep_their_dtype() -> None:
    ids = jnp.full((50, 40), 7, jnp.int16)
    dropped = np.asarray(word_dropout(jax.random.key(0), ids, rate=0.3, unknown=2))
    assert dropped.dtype == np.int16
    assert set(np.unique(dropped)) == {2, 7}
    assert abs(np.mean(dropped == 2) - 0.3) < 0.04  # four standard errors
    assert (dropped[0] != dropped[1]).any()
    for rate, left in ((0.0, 7), (1.0, 2)):
        assert (word_dropout(jax.random.key(0), ids, rate=rate, unknown=2) == left).all()
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\], got 1.5"):
        word_dropout(jax.random.key(0), ids, rate=1.5, unknown=2)
    with pytest.raises(ValueError, match=r"^unknown must fit int16, got 32768$"):
        word_dropout(jax.random.key(0), ids, rate=0.5, unknown=2**15)


def test_ids_and_tables_of_numpy_with_64_bits_are_taken_without_a_warning() -> None:
    ids, table, tail = np.array([1, 0]), np.arange(6.0).reshape(3, 2), (np.array([[3.0]]), np.array([[1.0, -1.0]]))
    key = jax.random.key(0)
    assert word_dropout(key, np.array([5, 7]), rate=1.0, unknown=0).tolist() == [0, 0]
    assert embedding(ids, table).tolist() == [[2, 3], [0, 1]]
    assert embedding_bag(ids, np.array([2.0, 1.0]), table).tolist() == [4, 7]
    assert adaptive_embedding(np.array([2, 3]), table, (tail,)).tolist() == [[4, 5], [3, -3]]
    assert tied_logits(np.array([[1.0, 2.0]]), table).tolist() == [[2, 8, 14]]
    assert embedding_dropout(key, table, rate=0.0).tolist() == table.tolist()
