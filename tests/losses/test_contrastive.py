import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl.losses import contrastive, reduce
from tests.losses import oracles
from tests.support import float64

NAN = np.nan

nt_xent = jax.jit(contrastive.nt_xent_loss, static_argnames="temperature")
supervised = jax.jit(contrastive.supervised_contrastive_loss, static_argnames="temperature")


def test_contrastive_loss_in_value_and_gradient():
    a, b = jnp.zeros((4, 2)), jnp.array([[3.0, 4], [0.3, 0.4], [3, 4], [0, 0]])
    same = jnp.array([True, False, False, False])

    def total(b):
        values = contrastive.contrastive_loss(a, b, same)
        return jnp.sum(values), values

    gradient, values = jax.jit(jax.grad(total, has_aux=True))(b)
    np.testing.assert_allclose(values, [12.5, 0.125, 0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[3, 4], [-0.3, -0.4], [0, 0], [0, 0]], atol=1e-6)


def test_nt_xent_equals_optax_in_the_mean(rng):
    a, b = (np.float32(rng.standard_normal((5, 3))) for _ in range(2))
    theirs = jax.jit(optax.losses.ntxent)(np.concatenate([a, b]), np.tile(np.arange(5), 2), temperature=0.3)
    assert reduce.mean(nt_xent(a, b, temperature=0.3)) == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1e-3])
def test_nt_xent_equals_loops_in_torch_in_value_and_gradient(rng, temperature):
    arrays = [rng.standard_normal((5, 3)) for _ in range(2)]
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected = oracles.nt_xent(*tensors, temperature)
    expected.sum().backward()
    with float64():
        values, pull = jax.vjp(lambda a, b: nt_xent(a, b, temperature=temperature), *arrays)
        gradients = pull(jnp.ones_like(values))
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-10)
    for ours, theirs in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-8, atol=1e-10)


def test_supervised_contrastive_equals_loops_in_torch_in_value_and_gradient(rng):
    x, labels = rng.standard_normal((7, 3)), np.array([0, 1, 0, 2, 1, 0, 1])
    tensor = torch.tensor(x, requires_grad=True)
    expected = oracles.supervised_contrastive(tensor, torch.tensor(labels), 0.1)
    expected.sum().backward()
    with float64():
        values, pull = jax.vjp(lambda x: supervised(x, labels), x)
        (gradient,) = pull(jnp.ones_like(values))
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-10)
    np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-8, atol=1e-10)


def test_with_one_pair_per_class_it_is_nt_xent(rng):
    a, b = (np.float32(rng.standard_normal((4, 3))) for _ in range(2))
    values = supervised(np.concatenate([a, b]), np.tile(np.arange(4), 2), temperature=0.5)
    expected = nt_xent(a, b, temperature=0.5)
    np.testing.assert_allclose(np.reshape(values, (2, 4)).mean(0), expected, rtol=1e-5)


def test_masked_examples_are_left_out_whatever_they_hold(rng):
    a, b = (np.float32(rng.standard_normal((4, 3))) for _ in range(2))
    mask = np.array([True, False, True, False])
    expected = nt_xent(a[mask], b[mask])
    a[~mask] = NAN

    def total(a, b):
        values = contrastive.nt_xent_loss(a, b, mask=mask)
        return jnp.sum(values), values

    gradients, values = jax.jit(jax.grad(total, (0, 1), has_aux=True))(a, b)
    np.testing.assert_allclose(values, [expected[0], 0, expected[1], 0], rtol=1e-5)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert not gradient[~mask].any()


def test_masked_rows_of_the_supervised_loss_are_left_out_whatever_they_hold(rng):
    x, labels, mask = np.float32(rng.standard_normal((6, 3))), np.array([0, 0, 1, 1, 0, 1]), np.arange(6) < 4
    expected = supervised(x[mask], labels[mask])
    x[~mask] = NAN

    def total(x):
        values = contrastive.supervised_contrastive_loss(x, labels, mask=mask)
        return jnp.sum(values), values

    gradient, values = jax.jit(jax.grad(total, has_aux=True))(x)
    np.testing.assert_allclose(values, [*expected, 0, 0], rtol=1e-5)
    assert np.isfinite(gradient).all()
    assert not gradient[~mask].any()
    found = jax.jit(contrastive.has_positive)(labels, mask=np.arange(6) < 3)
    np.testing.assert_array_equal(found, [1, 1, 0, 0, 0, 0])


def test_only_directions_count(rng):
    a, b = (np.float32(rng.standard_normal((3, 4))) for _ in range(2))
    np.testing.assert_allclose(nt_xent(1e20 * a, 1e-20 * b), nt_xent(a, b), rtol=1e-5)


def test_empty_batches_have_no_losses():
    none = np.zeros((0, 3), np.float32)
    assert nt_xent(none, none).shape == (0,)
    assert supervised(none, np.zeros(0, int)).shape == (0,)
    assert contrastive.has_positive(np.zeros(0, int)).shape == (0,)
    assert contrastive.contrastive_loss(none, none, np.zeros(0, bool)).shape == (0,)


@pytest.mark.parametrize("temperature", [0.0, -1.0, NAN, np.inf])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    x = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match=rf"^temperature must be positive and finite, got {temperature}$"):
        contrastive.nt_xent_loss(x, x, temperature=temperature)


def test_a_negative_margin_is_refused():
    with pytest.raises(ValueError, match=r"^margin must be finite and not negative, got -1$"):
        contrastive.contrastive_loss(np.ones(2, np.float32), np.ones(2, np.float32), np.array(True), margin=-1)
