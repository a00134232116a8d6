import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional.noise import drop_connect, gaussian_dropout, gaussian_noise

KEY = jax.random.key(0)
N = 100_000


def test_drop_connect_zeroes_weights_and_not_inputs():
    kernel, bias = jnp.full((200, 30), 3.0), jnp.arange(30.0)
    seen = np.asarray(drop_connect(KEY, jnp.eye(200), kernel, bias, rate=0.25)) - np.arange(30)
    assert {0.0, 4.0} == set(np.unique(seen))
    assert abs((seen == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / seen.size)


def test_one_mask_of_weights_serves_the_batch_and_keys_per_example_give_each_its_own():
    x, kernel = jnp.ones((4, 20)), jnp.ones((20, 3))
    together = drop_connect(KEY, x, kernel, rate=0.5)
    np.testing.assert_array_equal(together, np.tile(together[:1], (4, 1)))
    apart = jax.jit(jax.vmap(lambda key, x: drop_connect(key, x, kernel, rate=0.5)))(jax.random.split(KEY, 4), x)
    assert len(np.unique(apart, axis=0)) > 1


def test_drop_connect_without_weights_gives_the_bias_with_zero_gradient():
    def total(kernel):
        return jnp.sum(drop_connect(KEY, jnp.ones((2, 3)), kernel, jnp.full(2, 7.0), rate=1.0))

    value, gradient = jax.jit(jax.value_and_grad(total))(jnp.full((3, 2), 1e30))
    assert value == 28
    assert not gradient.any()


@pytest.mark.parametrize(
    ("function", "deviation"),
    [
        (lambda x: gaussian_noise(KEY, x, deviation=0.5), 0.5),
        (lambda x: gaussian_dropout(KEY, x, rate=0.2), 3.0 * 0.5),
    ],
    ids=["additive", "multiplicative"],
)
def test_noise_keeps_the_mean_and_has_the_stated_deviation(function, deviation):
    y = np.asarray(jax.jit(function)(jnp.full(N, 3.0)))
    assert abs(y.mean() - 3) < 5 * deviation / np.sqrt(N)
    assert abs(y.std() / deviation - 1) < 0.02


def test_no_noise_is_the_identity():
    x = jnp.linspace(-1, 1, 7)
    run = jax.jit(lambda x: (gaussian_noise(KEY, x, deviation=0.0), gaussian_dropout(KEY, x, rate=0.0)))
    for y in (*run(x), drop_connect(KEY, x[None], jnp.eye(7), rate=0.0)[0]):
        np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("deviation", [-0.1, np.inf, np.nan])
def test_a_deviation_that_is_none_is_refused(deviation):
    with pytest.raises(ValueError, match=f"^deviation must be finite and not negative, got {deviation}$"):
        gaussian_noise(KEY, jnp.ones(3), deviation=deviation)


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan])
def test_a_rate_of_gaussian_dropout_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match=rf"^rate must lie in \[0, 1\), got {rate}$"):
        gaussian_dropout(KEY, jnp.ones(3), rate=rate)


def test_a_rate_of_drop_connect_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"^rate must lie in \[0, 1\], got 1.5$"):
        drop_connect(KEY, jnp.ones((2, 3)), jnp.ones((3, 2)), rate=1.5)
