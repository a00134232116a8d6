from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import (
    KeyValues,
    additive_attention,
    attention_weights,
    cached_attention,
    causal_mask,
    dot_product_attention,
    dot_product_weights,
    dropout_attention,
    write_step,
)
from tests.support import assert_trees_close

NAN = np.nan


def normal(rng: np.random.Generator, *shape: int) -> jax.Array:
    return jnp.asarray(rng.standard_normal(shape), jnp.float32)


def test_one_head_of_keys_serves_all_queries_as_copies_of_it_would(rng: np.random.Generator) -> None:
    q, k = normal(rng, 2, 3, 4, 2), normal(rng, 2, 5, 2, 2)
    copies = jnp.repeat(k, 2, axis=2)
    actual = dot_product_attention(q, k, k, causal=True)
    expected = jax.nn.dot_product_attention(q, copies, copies, is_causal=True)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_row_without_keys_is_0_and_neither_it_nor_what_is_masked_has_a_gradient(rng: np.random.Generator) -> None:
    """NaN stands in every query, key and value that is masked."""
    q, k, v = (normal(rng, 1, 4, 1, 2) for _ in range(3))
    q, k, v = q.at[0, 3].set(NAN), k.at[0, 2:].set(NAN), v.at[0, 2:].set(NAN)
    mask = jnp.asarray(np.array([1, 1, 1, 0], bool)).reshape(1, 1, 4, 1) & (jnp.arange(4) < 2).reshape(1, 1, 1, 4)

    def total(q: Any, k: Any, v: Any) -> Any:
        out = dot_product_attention(q, k, v, mask)
        return jnp.sum(out**2), out

    slopes, out = jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))(q, k, v)
    kept = jax.nn.dot_product_attention(q[:, :3], k[:, :2], v[:, :2])
    np.testing.assert_allclose(out[:, :3], kept, rtol=1e-5)
    assert not np.any(out[:, 3])
    for slope, rows in zip(slopes, (3, 2, 2), strict=True):
        assert np.all(np.isfinite(slope))
        assert np.all(slope[:, :rows] != 0)
        assert not np.any(slope[:, rows:])


def test_the_future_reaches_nothing_even_where_it_is_nan(rng: np.random.Generator) -> None:
    x = normal(rng, 1, 4, 2, 2)
    spoilt = x.at[0, 2].set(NAN)
    clean, dirty = (dot_product_attention(each, each, each, causal=True) for each in (x, spoilt))
    np.testing.assert_array_equal(dirty[:, :2], clean[:, :2])
    assert np.all(np.isnan(dirty[:, 2:]))


def test_a_length_longer_than_the_keys_counts_them_all_and_weights_sum_to_1(rng: np.random.Generator) -> None:
    q, k = normal(rng, 2, 3, 1, 2), normal(rng, 2, 5, 1, 2)
    weights = dot_product_weights(q, k, lengths=jnp.array([9, 2]))
    np.testing.assert_allclose(weights.sum(-1), np.ones((2, 1, 3)), rtol=1e-6)
    assert not np.any(weights[1, :, :, 2:])


@pytest.mark.by_day_on_pin(1)
def test_dropped_weights_average_to_the_weights_and_none_are_dropped_at_rate_0(rng: np.random.Generator) -> None:
    q, k, v = (normal(rng, 1, 3, 2, 2) for _ in range(3))
    keys = jax.random.split(jax.random.key(0), 2000)
    whole = dot_product_attention(q, k, v)
    dropped = jax.jit(jax.vmap(lambda key: dropout_attention(key, q, k, v, rate=0.3)))(keys)
    np.testing.assert_allclose(dropped.mean(0), whole, atol=0.06)
    assert len(np.unique(np.asarray(dropped[:, 0, 0, 0, 0]))) > 3
    np.testing.assert_allclose(dropout_attention(keys[0], q, k, v, rate=0.0), whole, rtol=1e-6)
    assert not np.any(dropout_attention(keys[0], q, k, v, rate=1.0))
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\], got 1.5"):
        dropout_attention(keys[0], q, k, v, rate=1.5)


def test_cached_steps_equal_causal_attention(rng: np.random.Generator) -> None:
    q, k, v = normal(rng, 2, 4, 4, 2), normal(rng, 2, 4, 2, 2), normal(rng, 2, 4, 2, 3)
    cache = KeyValues(jnp.full((2, 6, 2, 2), 9.0), jnp.full((2, 6, 2, 3), 9.0))

    @jax.jit
    def step(cache: Any, position: Any, *new: Any) -> Any:
        q, k, v = new
        cache = write_step(cache, k, v, position=position)
        return cached_attention(q, cache, position=position), cache

    first, cache = step(cache, 0, *(x[:, :2] for x in (q, k, v)))
    outs = [first]
    for t in (2, 3):
        out, cache = step(cache, t, *(x[:, t : t + 1] for x in (q, k, v)))
        outs.append(out)
    expected = dot_product_attention(q, k, v, causal=True)
    np.testing.assert_allclose(jnp.concatenate(outs, axis=1), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"position must lie in \[0, 5\], got 6"):
        write_step(cache, k[:, :1], v[:, :1], position=6)
    rule = r"^cache must hold k \[n, s, g, d\] and v \[n, s, g, e\] with n=2, "
    with pytest.raises(ValueError, match=rule + r"d=2, got f32\[2,6,2,2\] and f32\[2,5,2,3\]$"):
        cached_attention(q[:, :1], KeyValues(cache.k, cache.v[:, :5]), position=0)
    with pytest.raises(ValueError, match=rule + r"g=2, d=2, e=3, got f32\[2,6,2,3\] and f32\[2,6,2,3\]$"):
        write_step(KeyValues(cache.v, cache.v), k[:, :1], v[:, :1], position=0)


@pytest.mark.parametrize("position", [5, -1, jnp.asarray(5), np.int64(-1)])
def test_a_known_position_outside_of_the_cache_is_refused(position: Any) -> None:
    cache = KeyValues(jnp.zeros((1, 6, 2, 3)), jnp.zeros((1, 6, 2, 3)))
    two = jnp.ones((1, 2, 2, 3))
    for call in (
        lambda: write_step(cache, two, two, position=position),
        lambda: cached_attention(two, cache, position=position),
    ):
        with pytest.raises(ValueError, match=rf"^position must lie in \[0, 4\], got {position}$"):
            call()


def test_more_steps_than_a_cache_has_are_refused() -> None:
    cache, seven = KeyValues(jnp.zeros((2, 6, 2, 3)), jnp.zeros((2, 6, 2, 3))), jnp.ones((2, 7, 2, 3))
    with pytest.raises(ValueError, match=r"^cache must have room for 7 steps, got 6$"):
        write_step(cache, seven, seven, position=0)


def test_queries_without_features_need_a_scale() -> None:
    q, k, v = jnp.ones((1, 2, 1, 0)), jnp.ones((1, 2, 1, 0)), jnp.array([1.0, 3.0]).reshape(1, 2, 1, 1)
    np.testing.assert_array_equal(dot_product_attention(q, k, v, scale=1.0).reshape(-1), [2.0, 2.0])
    with pytest.raises(
        ValueError, match=r"^scale must be given for queries without features, got shape \(1, 2, 1, 0\)$"
    ):
        dot_product_attention(q, k, v)
    with pytest.raises(ValueError, match=r"^queries must be at least 0, got -1$"):
        causal_mask(queries=-1, keys=2)


def test_a_cache_is_written_in_place_when_it_is_donated() -> None:
    cache = KeyValues(jnp.zeros((1, 64, 2, 8)), jnp.zeros((1, 64, 2, 8)))
    one = jnp.ones((1, 1, 2, 8))
    program = jax.jit(lambda cache, x, t: write_step(cache, x, x, position=t), donate_argnums=0).lower(cache, one, 3)
    assert program.compile().memory_analysis().temp_size_in_bytes < cache.k.nbytes


def test_e93_every_output_step_has_weights_over_all_input_steps_and_a_context() -> None:
    """α sums to 1 over t' = 1 … Tx for each t, not for the first alone, and c is the sum of α a."""
    scores = jnp.log(jnp.array([[[1.0, 1.0, 2.0], [3.0, 1.0, 0.0]]]))
    weights = attention_weights(scores)
    np.testing.assert_allclose(weights, [[[0.25, 0.25, 0.5], [0.75, 0.25, 0]]], rtol=1e-6)
    np.testing.assert_allclose(weights.sum(-1), [[1, 1]], rtol=1e-6)
    states = jnp.array([[[4.0], [8.0], [2.0]]])
    # one unit of a network that is linear near 0: its scores are those of the states
    context = additive_attention(
        jnp.zeros((1, 2, 1)), states, states, jnp.zeros((1, 1)), jnp.zeros((1, 1)), jnp.ones(1)
    )
    np.testing.assert_allclose(context, np.full((1, 2, 1), 14 / 3), rtol=1e-6)
    np.testing.assert_allclose(weights @ states, [[[4], [5]]], rtol=1e-6)


def test_keys_that_are_padding_have_no_gradient_in_additive_attention(rng: np.random.Generator) -> None:
    q, k = normal(rng, 1, 2, 3), normal(rng, 1, 4, 3).at[0, 2:].set(NAN)
    kernels = normal(rng, 3, 5), normal(rng, 3, 5), normal(rng, 5)

    def total(q: Any, k: Any, *kernels: Any) -> Any:
        return jnp.sum(additive_attention(q, k, k, *kernels, lengths=jnp.array([2])) ** 2)

    slopes = jax.jit(jax.grad(total, range(5)))(q, k, *kernels)
    short = jax.jit(jax.grad(lambda q, k, *kernels: jnp.sum(additive_attention(q, k, k, *kernels) ** 2), range(5)))
    expected = short(q, k[:, :2], *kernels)
    assert not np.any(slopes[1][:, 2:])
    assert_trees_close((slopes[0], slopes[1][:, :2], *slopes[2:]), expected, rtol=1e-5, atol=1e-6)
