import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional.moments import centre, inverse_deviation, mean_over, normalized_by, slope_of


def over_rows(x):
    return mean_over(x, axes=(0,))


def test_compiled_deviations_of_a_large_mean_keep_their_digits(rng):
    x = (1e4 + rng.standard_normal((1000, 3))).astype(np.float32)
    exact = x.astype(np.float64)
    parts = jax.jit(lambda x: centre(x, mean=over_rows))(x)
    np.testing.assert_allclose(parts.mean[0], exact.mean(0), rtol=6e-8)
    np.testing.assert_allclose(parts.variance[0], exact.var(0), rtol=1e-6)
    np.testing.assert_allclose(parts.deviation, exact - exact.mean(0), atol=1e-6)


@pytest.mark.parametrize("constant", [1e-30, 1 / 3, 1e4 + 1 / 3, 1e18 / 3])
@pytest.mark.parametrize("rows", [3, 1001])
def test_a_constant_deviates_by_nothing(constant, rows):
    parts = constant_parts(np.full((rows, 1), constant, np.float32))
    assert not parts.deviation.any()
    np.testing.assert_array_equal(parts.mean, np.float32([[constant]]))


constant_parts = jax.jit(lambda x: centre(x, mean=over_rows))


def test_the_gradients_of_mean_and_variance_are_those_of_their_definitions(rng):
    x = (5 + rng.standard_normal((50, 2))).astype(np.float32)

    def ours(x):
        parts = centre(x, mean=over_rows)
        return jnp.sum(parts.mean + 3 * parts.variance) + 2 * jnp.sum((parts.deviation - parts.drift)[0])

    def theirs(x):
        return jnp.sum(jnp.mean(x, 0) + 3 * jnp.var(x, 0)) + 2 * jnp.sum(x[0] - jnp.mean(x, 0))

    np.testing.assert_allclose(jax.jit(jax.grad(ours))(x), jax.jit(jax.grad(theirs))(x), atol=1e-6)


@pytest.mark.parametrize(
    ("variance", "epsilon", "value"),
    [(0.0, 0.0, 0.0), (0.0, 0.25, 2.0), (4.0, 0.0, 0.5), (np.inf, 1e-5, np.nan), (np.nan, 1e-5, np.nan)],
)
def test_the_inverse_deviation_at_its_edges(variance, epsilon, value):
    inverse, gradient = jax.value_and_grad(lambda v: inverse_deviation(v, epsilon=epsilon))(jnp.float32(variance))
    np.testing.assert_allclose(inverse, value, rtol=1e-6)
    assert np.isnan(value) or np.isfinite(gradient)
    if value == 0:
        assert gradient == 0


@pytest.mark.parametrize("epsilon", [-1e-5, np.nan, np.inf])
def test_an_epsilon_that_is_no_small_number_is_refused(epsilon):
    with pytest.raises(ValueError, match=f"^epsilon must be finite and not negative, got {epsilon}$"):
        inverse_deviation(jnp.ones(2), epsilon=epsilon)


def test_the_mean_of_nothing_is_zero():
    np.testing.assert_array_equal(mean_over(jnp.zeros((0, 3)), axes=(0,)), np.zeros((1, 3)))


def test_given_statistics_normalize_each_channel(rng):
    x, mean, scale, bias = (rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), 3, 3, 3))
    variance = rng.uniform(0.5, 2, 3).astype(np.float32)
    expected = (x - mean) / np.sqrt(variance + 0.1) * scale + bias
    np.testing.assert_allclose(
        normalized_by(x, mean, variance, scale, bias, epsilon=0.1), expected, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(slope_of(variance, scale, epsilon=0.1), scale / np.sqrt(variance + 0.1), rtol=1e-6)
