import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.losses import embedding
from tests.support import float64

ZERO, NOUGHT = np.zeros(2, np.float32), np.array(0, np.float32)

skipgram = jax.jit(embedding.skipgram_negative_sampling_loss)
glove = jax.jit(embedding.glove_loss, static_argnames=("x_max", "alpha"))


def test_skipgram_equals_the_logistic_loss_of_torch_in_value_and_gradients(rng):
    arrays = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), rng.standard_normal((4, 5, 3))
    c, o, n = tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    logits = torch.cat([(c * o).sum(-1, keepdim=True), torch.einsum("bd,bnd->bn", c, n)], -1)
    targets = torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64).expand(4, 6)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(-1)
    expected.sum().backward()
    with float64():
        values, pull = jax.vjp(skipgram, *map(jnp.asarray, arrays))
        gradients = pull(jnp.ones_like(values))
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12)
    for ours, theirs in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-13)


def test_cbow_equals_torch_on_the_mean_of_what_counts_in_value_and_gradients(rng):
    counted = rng.random((4, 6)) < 0.5
    counted[0] = False
    contexts, center, negatives = (rng.standard_normal(shape) for shape in ((4, 6, 3), (4, 3), (4, 5, 3)))
    w, c, n = tensors = [torch.tensor(x, requires_grad=True) for x in (contexts, center, negatives)]
    mask = torch.tensor(counted)[..., None]
    hidden = (w * mask).sum(1) / mask.sum(1).clamp(min=1)
    logits = torch.cat([(hidden * c).sum(-1, keepdim=True), torch.einsum("bd,bnd->bn", hidden, n)], -1)
    targets = torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64).expand(4, 6)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(-1)
    expected.sum().backward()
    contexts[~counted] = np.nan
    with float64():
        loss = jax.jit(lambda w, c, n: embedding.cbow_negative_sampling_loss(w, jnp.asarray(counted), c, n))
        values, pull = jax.vjp(loss, *map(jnp.asarray, (contexts, center, negatives)))
        gradients = pull(jnp.ones_like(values))
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12)
    for ours, theirs in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-13)


def test_large_products_are_not_clipped():
    x = np.float32([100, 0])
    assert skipgram(x, -x, x[None]) == pytest.approx(20_000)
    assert skipgram(x, x, -x[None]) == 0


def test_worked_glove_loss():
    w, v, b = np.float32([[1, 2]]), np.float32([[0.5, -1]]), np.float32([0.25])
    inner = -1.5 + 0.5 - np.log(16)
    value = glove(w, v, b, b, np.array([16]))
    np.testing.assert_allclose(value, [(16 / 100) ** 0.75 * inner**2], rtol=1e-6)
    value = glove(w, v, b, b, np.array([16]), x_max=10, alpha=0.5)
    np.testing.assert_allclose(value, [inner**2], rtol=1e-6)


def test_pairs_that_never_occur_cost_nothing_with_zero_gradient():
    counts = np.float32([0, -1])
    gradients = jax.jit(jax.grad(lambda *x: jnp.sum(embedding.glove_loss(*x)), (0, 1, 2, 3, 4)))(
        jnp.ones((2, 3)), jnp.ones((2, 3)), jnp.ones(2), jnp.ones(2), counts
    )
    assert not any(g.any() for g in gradients)


@pytest.mark.parametrize(("options", "rule"), [({"x_max": 0.0}, "x_max"), ({"alpha": np.inf}, "alpha")])
def test_bad_options_are_refused(options, rule):
    with pytest.raises(ValueError, match=f"^{rule} must be positive and finite, got"):
        embedding.glove_loss(ZERO, ZERO, NOUGHT, NOUGHT, NOUGHT, **options)


def test_no_pairs_have_no_losses():
    none = np.zeros((0, 3), np.float32)
    assert skipgram(none, none, np.zeros((0, 2, 3), np.float32)).shape == (0,)
    assert glove(none, none, none[:, 0], none[:, 0], none[:, 0]).shape == (0,)
