import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from fjdl.losses import segmentation
from tests.support import float64

pytestmark = pytest.mark.fuzz

SHAPE = (2, 3, 2, 3)  # images, height, width, classes
OPTIONS = {  # alpha, beta, the power and what is left of smooth, of each loss
    segmentation.dice_loss: (0.5, 0.5, 1.0, 0.5),
    segmentation.jaccard_loss: (1.0, 1.0, 1.0, 1.0),
    segmentation.tversky_loss: (0.3, 0.7, 1.0, 1.0),
    segmentation.focal_tversky_loss: (0.3, 0.7, 0.75, 1.0),
}
VALUES = np.array([0.0, -0.0, 1.0, 0.5, 1e-30, 1e-7, 1 - 1e-7])


def value_and_gradient(loss, smooth, skip_absent, p, t, mask):
    def total(p):
        values = loss(p, t, smooth=smooth, skip_absent=skip_absent, mask=mask)
        return jnp.sum(values), values

    gradient, values = jax.grad(total, has_aux=True)(p)
    return values, gradient


jitted = jax.jit(value_and_gradient, static_argnums=(0, 1, 2))


def in_torch(loss, smooth, skip_absent, p, t, mask):
    """The scores by their definition, class by class and image by image."""
    alpha, beta, power, share = OPTIONS[loss]
    tensor, smooth = torch.tensor(p, requires_grad=True), smooth * share
    values = []
    for image, target, keep in zip(tensor, torch.tensor(t), torch.tensor(mask), strict=True):
        losses = []
        for c in range(SHAPE[-1]):
            x, y = image[..., c][keep], target[..., c][keep]
            hits, extra, missed = (x * y).sum(), (x * (1 - y)).sum(), ((1 - x) * y).sum()
            if hits + extra + missed == 0 and (skip_absent or smooth == 0):
                losses += [] if skip_absent else [0 * tensor.sum()]
                continue
            lost = (alpha * extra + beta * missed) / (hits + alpha * extra + beta * missed + smooth)
            losses.append(lost if power == 1 else lost**power if lost > 0 else 0 * lost)
        values.append(torch.stack(losses).mean() if losses else 0 * tensor.sum())
    values = torch.stack(values)
    values.sum().backward()
    return values.detach().numpy(), tensor.grad.numpy()


def probabilities(rng, hostile):
    p = rng.choice(VALUES, SHAPE) if hostile else rng.dirichlet(np.ones(3) * 0.2, SHAPE[:-1])
    p[..., rng.integers(3)] *= rng.integers(2)  # often a class that is never predicted
    return p


def targets(rng, soft):
    t = rng.dirichlet(np.ones(3), SHAPE[:-1]) if soft else np.eye(3)[rng.integers(0, rng.integers(1, 4), SHAPE[:-1])]
    return t * rng.integers(0, 2, (2, 1, 1, 1)) if rng.random() < 0.3 else t


@pytest.mark.parametrize("loss", OPTIONS, ids=lambda f: f.__name__)
@settings(max_examples=600, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32), st.booleans(), st.booleans(), st.sampled_from([0.0, 1.0]), st.booleans(), st.integers(0, 3)
)
def test_values_and_gradients_equal_the_definition(loss, seed, hostile, soft, smooth, skip_absent, masked):
    rng = np.random.default_rng(seed)
    p, t = probabilities(rng, hostile), targets(rng, soft)
    mask = rng.random(SHAPE[:-1]) < [1.0, 1.0, 0.5, 0.0][masked]
    with float64():
        values, gradient = jitted(loss, smooth, skip_absent, p, t, mask)
    expected, slope = in_torch(loss, smooth, skip_absent, p, t, mask)
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-14)
    if loss is not segmentation.focal_tversky_loss:  # a root has no slope at the classes without error
        size = np.minimum(1, ((p + t) * mask[..., None]).sum((1, 2), keepdims=True))  # a quotient of less cancels
        np.testing.assert_allclose(size * np.asarray(gradient), size * slope, rtol=1e-7, atol=1e-9)


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from(list(OPTIONS)), st.sampled_from([0.0, 1.0]))
def test_float32_losses_lie_in_0_1_with_gradients_that_are_not_nan(seed, soft, loss, smooth):
    rng = np.random.default_rng(seed)
    p, t = (np.float32(x) for x in (probabilities(rng, True), targets(rng, soft)))
    values, gradient = jitted(loss, smooth, True, p, t, np.ones(SHAPE[:-1], bool))
    assert ((values >= 0) & (values <= 1 + 1e-6)).all()
    assert np.isfinite(gradient).all()
