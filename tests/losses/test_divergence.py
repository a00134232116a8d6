import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import kl_div, rel_entr
from scipy.stats import entropy
from sklearn.metrics import mean_poisson_deviance

from fjdl.losses import classification, divergence
from tests.support import float64

INF = np.inf


def test_e14_the_more_uncertain_source_gives_more_information():
    p = np.float32([[1, 0, 0, 0], [0.97, 0.01, 0.01, 0.01], [0.25, 0.25, 0.25, 0.25]])
    values = divergence.entropy(p)
    np.testing.assert_allclose(values, entropy(p, axis=-1), rtol=1e-6)
    assert values[0] == 0
    assert (np.diff(values) > 0).all()


def test_a_probability_of_zero_has_gradient_zero_and_a_negative_one_gives_nan():
    value, gradient = jax.value_and_grad(lambda p: jnp.sum(divergence.entropy(p)))(np.float32([[1, 0]]))
    assert value == 0
    np.testing.assert_array_equal(gradient, [[-1, 0]])
    assert np.isnan(divergence.entropy(np.float32([[1.5, -0.5]]))).all()


def test_equal_distributions_do_not_diverge():
    p = np.float32([0.9, 0.1])
    assert divergence.kl_divergence(p, p) == 0
    assert divergence.kl_divergence_with_logits(np.log(p), p) == pytest.approx(0, abs=1e-7)


def test_kl_divergence_of_probabilities_equals_scipy_and_the_one_of_logits(rng):
    p, q = rng.dirichlet(np.ones(4), (2, 6))
    p[0] = q[0] * (1 + 1e-7 * np.array([1, -1, 1, -1]))
    with float64():
        values, of_logits = divergence.kl_divergence(p, q), divergence.kl_divergence_with_logits(np.log(q), p)
    np.testing.assert_allclose(values, rel_entr(p, q).sum(-1), rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(values, of_logits, rtol=1e-12, atol=1e-15)


def test_kl_divergence_has_stated_values_and_gradients_where_a_probability_is_0():
    p, q = np.float32([[0, 1], [0.5, 0.5], [0, 1]]), np.float32([[0.5, 0.5], [0, 1], [0, 1]])
    value, (wrt_p, wrt_q) = divergence.kl_divergence(p, q), jax.grad(total_kl, (0, 1))(p, q)
    np.testing.assert_allclose(value, [np.log(2), INF, 0], rtol=1e-6)
    np.testing.assert_allclose(wrt_p, [[0, 1 + np.log(2)], [INF, 1 + np.log(0.5)], [0, 1]], rtol=1e-6)
    np.testing.assert_allclose(wrt_q, [[0, -2], [-INF, -0.5], [0, -1]], rtol=1e-6)


def total_kl(p, q):
    return jnp.sum(divergence.kl_divergence(p, q))


@pytest.mark.parametrize(
    ("p", "found"),
    [
        ([[0.9, 0.1], [2.0, -1.0]], "an entry -1"),
        ([[0.9, 0.1], [-0.5, -2.4]], "an entry -0.5"),
        ([[0.9, 0.1], [3.0, 1.0]], "a row of sum 4"),
        ([[np.nan, 0.1], [0.0, 0.0]], "a row of sum 0"),
    ],
)
def test_logits_in_the_place_of_probabilities_are_refused_with_the_function_that_takes_them(p, found):
    q = np.float32([[0.5, 0.5], [0.5, 0.5]])
    sentence = f"^p must hold probabilities, got {found}; kl_divergence_with_logits takes logits$"
    for array in (np.float32(p), jnp.asarray(p, jnp.bfloat16)):
        with pytest.raises(ValueError, match=sentence):
            divergence.kl_divergence(array, q)
    assert jax.jit(divergence.kl_divergence)(np.float32(p), q).shape == (2,)


def test_kl_divergence_with_logits_equals_torch_in_value_and_gradients(rng):
    x, t = rng.standard_normal((6, 4)), rng.dirichlet(np.ones(4), 6)
    logits, targets = torch.tensor(x, requires_grad=True), torch.tensor(t, requires_grad=True)
    expected = torch.nn.functional.kl_div(torch.log_softmax(logits, -1), targets, reduction="none").sum(-1)
    expected.sum().backward()
    with float64():
        values = divergence.kl_divergence_with_logits(x, t)
        gradients = jax.grad(lambda x, t: jnp.sum(divergence.kl_divergence_with_logits(x, t)), (0, 1))(x, t)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(gradients[0], logits.grad, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(gradients[1], targets.grad, rtol=1e-12)


def test_cross_entropy_is_entropy_plus_divergence(rng):
    x, t = rng.standard_normal((5, 4)).astype(np.float32), rng.dirichlet(np.ones(4), 5).astype(np.float32)
    parts = divergence.entropy(t) + divergence.kl_divergence_with_logits(x, t)
    np.testing.assert_allclose(classification.soft_cross_entropy(x, t), parts, rtol=1e-5)


def test_log_probabilities_are_logits_and_equal_distributions_do_not_diverge(rng):
    p = rng.dirichlet(np.ones(4), 5).astype(np.float32)
    np.testing.assert_allclose(divergence.kl_divergence_with_logits(np.log(p), p), np.zeros(5), atol=2e-7)


def test_generalized_kl_equals_scipy_and_keeps_its_digits_where_both_are_close(rng):
    p = rng.uniform(0.1, 3, (5, 1))
    q = p * (1 + np.array([[1e-7, -1e-4, 0.01, 0.3, -0.49, 0.9, 1.1, 300]]))
    expected = p * (np.float64(q / p - 1) - np.log1p(q / p - 1))  # p (r - 1 - log r)
    with float64():
        np.testing.assert_allclose(
            divergence.generalized_kl_divergence(p, p * 1.5), kl_div(p, p * 1.5).sum(-1), rtol=1e-12
        )
        values = divergence.generalized_kl_divergence(p[..., None].repeat(8, 1), q[..., None])
    np.testing.assert_allclose(values[:, 1:], expected[:, 1:], rtol=1e-10)
    np.testing.assert_allclose(values[:, 0], p[:, 0] * 0.5e-14, rtol=1e-6)
    a, b = np.float32([1.0, 1.0, 1.0]), np.float32([1 + 2**-20, 1.3, 1.9])
    exact = np.float64(b) - 1 - np.log1p(np.float64(b) - 1)
    np.testing.assert_allclose(divergence.generalized_kl_divergence(a[:, None], b[:, None]), exact, rtol=1e-6)


def test_generalized_kl_of_distributions_is_kl_divergence_and_half_of_the_poisson_deviance(rng):
    p, q = rng.dirichlet(np.ones(4), (2, 5)).astype(np.float32)
    values = divergence.generalized_kl_divergence(p, q)
    np.testing.assert_allclose(values, divergence.kl_divergence(p, q), rtol=1e-5, atol=1e-7)
    deviances = [4 * mean_poisson_deviance(a, b) / 2 for a, b in zip(np.float64(p), np.float64(q), strict=True)]
    np.testing.assert_allclose(values, deviances, rtol=1e-4)


def test_slopes_of_generalized_kl_are_log_p_over_q_and_1_less_p_over_q():
    p, q = np.float32([[2, 1, 1.1, 0]]), np.float32([[0.5, 1, 1, 3]])
    gradients = jax.grad(lambda p, q: jnp.sum(divergence.generalized_kl_divergence(p, q)), (0, 1))(p, q)
    np.testing.assert_allclose(gradients[0], [[np.log(4), 0, np.log(1.1), 0]], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(gradients[1], [[-3, 0, -0.1, 1]], rtol=2e-6, atol=1e-7)


def test_js_divergence_is_symmetric_and_equals_scipy(rng):
    p, q = rng.dirichlet(np.ones(4), (2, 5))
    p[0, 1] = 0
    p[0] /= p[0].sum()
    with float64():
        values, swapped = divergence.js_divergence(p, q), divergence.js_divergence(q, p)
    np.testing.assert_allclose(values, jensenshannon(p, q, axis=-1) ** 2, rtol=1e-12)
    np.testing.assert_allclose(values, swapped, rtol=1e-13)


def test_js_divergence_without_a_common_outcome_is_log_2_with_finite_gradient():
    p, q = np.float32([[1, 0]]), np.float32([[0, 1]])
    value, gradients = jax.value_and_grad(lambda p, q: jnp.sum(divergence.js_divergence(p, q)), (0, 1))(p, q)
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
    assert np.isfinite(gradients).all()
