import jax
import jax.numpy as jnp
import numpy as np

from fjdl.functional.batch_norm import batch_norm, batch_norm_inference
from fjdl.functional.dropout import classic_dropout, dropout, dropout_expectation, dropout_masks
from tests.support import float64

ONE_TO_FOUR = np.array([[1.0], [2.0], [3.0], [4.0]])


def in_float64(epsilon):
    with float64():
        return jax.tree.map(np.asarray, batch_norm(ONE_TO_FOUR, epsilon=epsilon))


def test_w13_one_to_four_have_mean_2_5_biased_variance_1_25_and_normalize_to_1_34_and_0_45():
    y, moments = in_float64(epsilon=0.0)
    assert moments.mean[0] == 2.5
    assert moments.variance[0] == 1.25
    np.testing.assert_allclose(y[:, 0], [-1.34164079, -0.44721360, 0.44721360, 1.34164079], atol=5e-9)


def test_e87_the_root_holds_epsilon_so_that_a_constant_channel_is_finite():
    y, _ = in_float64(epsilon=0.75)  # √(1.25 + 0.75) = √2
    np.testing.assert_allclose(y[:, 0], np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(2), rtol=1e-14)
    np.testing.assert_array_equal(batch_norm(jnp.ones((4, 1)))[0], np.zeros((4, 1)))


def test_e97_the_divisor_is_the_deviation_and_not_the_variance():
    y, _ = in_float64(epsilon=0.0)
    assert abs(y[3, 0] - 1.2) > 0.1
    np.testing.assert_allclose(np.std(y), 1.0, rtol=1e-14)


def test_e98_the_variance_is_about_the_mean_and_not_about_1_over_the_batch_size():
    variance = in_float64(epsilon=1e-5)[1].variance[0]
    assert variance == 1.25
    assert variance != np.mean((ONE_TO_FOUR - 1 / 4) ** 2) == 6.3125


def test_e99_each_feature_has_the_mean_and_variance_of_the_examples():
    with float64():
        _, moments = batch_norm(np.array([[1.0, 10.0], [3.0, 30.0]]))
    np.testing.assert_array_equal(moments.mean, [2, 20])
    np.testing.assert_array_equal(moments.variance, [1, 100])


def test_the_scale_sigma_and_the_bias_mu_recover_the_input(rng):
    x = 5 + 2 * rng.standard_normal((8, 3))
    with float64():
        _, moments = batch_norm(x)
        sigma = jnp.sqrt(moments.variance + 1e-5)
        np.testing.assert_allclose(batch_norm(x, sigma, moments.mean)[0], x, rtol=1e-13)
        np.testing.assert_allclose(batch_norm_inference(x, *moments[:2], sigma, moments.mean), x, rtol=1e-13)


def test_w52_the_closed_backward_of_the_notes_equals_the_gradient_to_1e_14(rng):
    x, g = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
    gamma, beta = rng.uniform(0.5, 2, 3), rng.standard_normal(3)
    m, sigma = len(x), np.sqrt(x.var(0) + 1e-5)
    normalized = (x - x.mean(0)) / sigma
    of_beta, of_gamma = g.sum(0), (g * normalized).sum(0)
    of_x = gamma / (m * sigma) * (-of_gamma * normalized + m * g - of_beta)
    with float64():
        pull = jax.jit(lambda g, *a: jax.vjp(lambda *a: batch_norm(*a)[0], *a)[1](g))
        for ours, closed in zip(pull(g, x, gamma, beta), (of_x, of_gamma, of_beta), strict=True):
            np.testing.assert_allclose(ours, closed, rtol=1e-14, atol=1e-14)


def test_w48_three_entries_have_eight_masks():
    masks = np.asarray(dropout_masks(n=3))
    assert masks.shape == (8, 3)
    assert len(np.unique(masks, axis=0)) == 8


def test_e102_the_rate_is_the_probability_to_drop_and_not_to_keep():
    x = jnp.ones(2000)
    for function in (dropout, classic_dropout):
        assert abs(np.mean(function(jax.random.key(0), x, rate=0.9) == 0) - 0.9) < 0.03
    np.testing.assert_allclose(dropout_expectation(jnp.array([1.0, 2, 3]), rate=0.9), [0.1, 0.2, 0.3], rtol=1e-6)
