import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fjdl.functional.dropout import (
    classic_dropout,
    classic_dropout_inference,
    dropout,
    dropout_expectation,
    dropout_masks,
    spatial_dropout,
    stochastic_depth,
)

KEY = jax.random.key(0)
N = 200_000


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_entries_are_dropped_at_the_rate_and_the_mean_is_kept(rate, dtype):
    y = np.asarray(dropout(KEY, jnp.ones(N, dtype), rate=rate), np.float64)
    dropped = np.mean(y == 0)
    assert abs(dropped - rate) < 5 * np.sqrt(rate * (1 - rate) / N)
    assert abs(y.mean() - 1) < 5 * np.sqrt(rate / (1 - rate) / N) + (2**-9 if dtype == "bfloat16" else 0)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_kept_entries_are_divided_by_the_keep_probability(rate, rng):
    x = rng.uniform(1, 2, 100).astype(np.float32)
    y = np.asarray(dropout(KEY, x, rate=rate))
    kept = y != 0
    assert 0 < kept.sum() < 100
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("rate", [0, 0.0, 0.3, 1.0, 1])
def test_the_dtype_is_kept(rate, dtype):
    assert dropout(KEY, jnp.ones(4, dtype), rate=rate).dtype == dtype


def test_rate_0_changes_nothing(rng):
    x = rng.standard_normal((20, 50)).astype(np.float32)
    np.testing.assert_array_equal(dropout(KEY, x, rate=0.0), x)


def test_rate_1_gives_zeros_with_zero_gradient():
    x = jnp.asarray([1.0, -2.0, np.inf])
    y, pullback = jax.vjp(lambda x: dropout(KEY, x, rate=1.0), x)
    np.testing.assert_array_equal(y, np.zeros(3))
    np.testing.assert_array_equal(pullback(jnp.ones(3))[0], np.zeros(3))


def test_the_gradient_passes_the_same_mask():
    x = jnp.ones(100)
    y, pullback = jax.vjp(lambda x: dropout(KEY, x, rate=0.4), x)
    np.testing.assert_array_equal(pullback(jnp.ones(100))[0], y)


def test_the_same_key_gives_the_same_mask_and_another_key_another():
    x = jnp.ones(1000)
    first = dropout(KEY, x, rate=0.5)
    np.testing.assert_array_equal(first, jax.jit(lambda key: dropout(key, x, rate=0.5))(jax.random.key(0)))
    assert np.mean(first != dropout(jax.random.key(1), x, rate=0.5)) > 0.4


def test_the_mask_does_not_depend_on_how_the_batch_is_sharded():
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    x = jnp.ones((len(jax.devices()), 50))
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    split = jax.jit(lambda x: dropout(KEY, x, rate=0.5))(sharded)
    assert len(split.sharding.device_set) == len(jax.devices())
    np.testing.assert_array_equal(split, dropout(KEY, x, rate=0.5))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_empty_and_scalar_inputs_keep_their_shape(shape):
    assert dropout(KEY, jnp.ones(shape), rate=0.5).shape == shape


@pytest.mark.parametrize("rate", [-0.5, 1.5, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match=rf"^rate must lie in \[0, 1\], got {rate}$"):
        dropout(KEY, jnp.ones(3), rate=rate)


X = jnp.arange(1.0, 2401).reshape(40, 2, 3, 10)


def dropped_blocks(y, axes):
    """For each block along `axes`, whether it was dropped, after checking that it is dropped or kept as a whole."""
    gone = np.asarray(y == 0)
    np.testing.assert_array_equal(gone.all(axes), gone.any(axes))
    return gone.all(axes)


@pytest.mark.parametrize(("function", "axes"), [(spatial_dropout, (1, 2)), (stochastic_depth, (1, 2, 3))])
def test_whole_blocks_are_dropped_and_the_others_scaled_with_the_gradient(function, axes):
    y, pullback = jax.jit(lambda x: jax.vjp(lambda x: function(KEY, x, rate=0.25), x))(X)
    gone = dropped_blocks(y, axes)
    assert abs(gone.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / gone.size)
    kept = np.expand_dims(~gone, axes)
    np.testing.assert_allclose(y, np.where(kept, X / 0.75, 0), rtol=1e-6)
    np.testing.assert_allclose(pullback(jnp.ones(X.shape))[0], np.broadcast_to(kept / 0.75, X.shape), rtol=1e-6)


def test_classic_dropout_has_the_mask_of_the_inverted_one_and_leaves_the_scale_to_prediction():
    x = X[0, 0]
    classic, inverted = jax.jit(lambda x: (classic_dropout(KEY, x, rate=0.5), dropout(KEY, x, rate=0.5)))(x)
    np.testing.assert_array_equal(classic, inverted / 2)
    np.testing.assert_array_equal(classic_dropout_inference(x, rate=0.5), x / 2)


def test_rate_0_keeps_and_rate_1_drops_everything_in_the_whole_family():
    x = np.ones((2, 3, 4), np.float32)
    x[0, 0, 0] = np.inf
    family = spatial_dropout, stochastic_depth, classic_dropout
    run = jax.jit(lambda x: [[function(KEY, x, rate=rate) for function in family] for rate in (0.0, 1.0)])
    kept, dropped = run(x)
    for y in kept:
        np.testing.assert_array_equal(y, x)
    for y in (*dropped, classic_dropout_inference(x, rate=1.0)):
        assert not y.any()


@pytest.mark.parametrize("rate", [-0.5, 1.5, float("nan")])
def test_a_rate_outside_0_to_1_is_refused_by_the_whole_family(rate):
    calls = [
        lambda: spatial_dropout(KEY, X, rate=rate),
        lambda: stochastic_depth(KEY, X, rate=rate),
        lambda: classic_dropout(KEY, X, rate=rate),
        lambda: classic_dropout_inference(X, rate=rate),
        lambda: dropout_expectation(jnp.ones(2), rate=rate),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=rf"^rate must lie in \[0, 1\], got {rate}$"):
            call()


def test_the_masks_are_all_different_and_their_probabilities_sum_to_one():
    masks = np.asarray(dropout_masks(n=4))
    assert len({tuple(mask) for mask in masks}) == len(masks) == 16
    ones = dropout_expectation(jnp.ones(4), rate=0.3, output=lambda d: jnp.ones(()))
    np.testing.assert_allclose(ones, 1.0, rtol=1e-6)


def test_the_expectation_of_a_relu_is_not_the_relu_of_the_expectation():
    def output(dropped):
        return jnp.maximum(jnp.sum(dropped), 0)

    x = jnp.array([1.0, -1.0])
    assert dropout_expectation(x, rate=0.5, output=output) == 0.25  # masks 00, 10, 01, 11 give 0, 1, 0, 0
    assert output(classic_dropout_inference(x, rate=0.5)) == 0


def test_the_expectation_is_the_mean_of_many_masks():
    x = jnp.array([1.0, 2, 4])

    def output(dropped):
        return jnp.tanh(dropped) @ jnp.array([[1.0, 2], [3, 4], [5, 6]])

    @jax.jit
    def exact_and_drawn(x):
        drawn = classic_dropout(KEY, jnp.broadcast_to(x, (100_000, 3)), rate=0.3)
        return dropout_expectation(x, rate=0.3, output=output), jnp.mean(output(drawn), axis=0)

    np.testing.assert_allclose(*exact_and_drawn(x), rtol=2e-2)


@pytest.mark.parametrize(("rate", "kept"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_expectation_at_the_ends_of_the_rate_knows_one_mask_only(rate, kept):
    y = dropout_expectation(jnp.array([2.0, np.inf]), rate=rate)
    np.testing.assert_array_equal(y, [2.0, np.inf] if kept else [0, 0])
