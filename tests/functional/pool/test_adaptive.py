from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional.pool import adaptive
from fjdl.functional.pool.adaptive import adaptive_average_pool2d, adaptive_max_pool2d, spatial_pyramid_pool2d
from tests.support import float64


def value_and_gradient(function, x, cotangent):
    y, pullback = jax.vjp(function, jnp.asarray(x))
    return y, pullback(jnp.asarray(cotangent, y.dtype))[0]


@pytest.mark.parametrize(
    "size", [(3, 4), (7, 9), (1, 1), (10, 2), (4,), (7,), (1,), (9,), (3, 2, 5), (7, 1, 2), (1, 1, 1)], ids=str
)
def test_adaptive_pooling_and_its_gradients_equal_torch(size, rng):
    axes = len(size)
    x = np.round(2 * rng.standard_normal((2, *(7, 9, 4)[:axes], 3)))
    for kind, theirs in (("average", "avg"), ("max", "max")):
        ours = getattr(adaptive, f"adaptive_{kind}_pool{axes}d")
        tensor = torch.tensor(x, requires_grad=True)
        pooled = getattr(torch.nn.functional, f"adaptive_{theirs}_pool{axes}d")(tensor.movedim(-1, 1), size)
        y = pooled.movedim(1, -1)
        cotangent = rng.standard_normal(tuple(y.shape))
        y.backward(torch.tensor(cotangent))
        with float64():
            value, gradient = jax.jit(partial(value_and_gradient, partial(ours, size=size)))(x, cotangent)
        np.testing.assert_allclose(value, y.detach(), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(gradient, np.asarray(tensor.grad), rtol=1e-12, atol=1e-13)


def test_a_nan_stays_in_the_bins_that_hold_it():
    x = jnp.zeros((1, 7, 7, 1)).at[0, 0, 6, 0].set(jnp.nan)
    for pool in (adaptive_average_pool2d, adaptive_max_pool2d):
        y = jax.jit(partial(pool, size=3))(x)
        np.testing.assert_array_equal(np.argwhere(np.isnan(y)), [[0, 0, 2, 0]])


def test_pyramids_have_one_length_for_all_sizes_and_list_bins_level_by_level(rng):
    x = jnp.asarray(rng.standard_normal((2, 5, 6, 3)), jnp.float32)
    y = jax.jit(partial(spatial_pyramid_pool2d, levels=(1, 2)))(x)
    assert y.shape == jax.eval_shape(partial(spatial_pyramid_pool2d, levels=(1, 2)), jnp.ones((2, 9, 4, 3))).shape
    np.testing.assert_array_equal(y[:, :3], x.max((1, 2)))
    np.testing.assert_array_equal(y[:, 6:9], x[:, :3, 3:].max((1, 2)))
    with pytest.raises(ValueError, match="levels must not be empty"):
        spatial_pyramid_pool2d(x, levels=())
