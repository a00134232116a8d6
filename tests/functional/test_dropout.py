import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fjdl.functional import dropout

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
