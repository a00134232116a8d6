from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional.pool import unpool
from fjdl.functional.pool.fixed import average_pool2d, max_pool2d
from fjdl.functional.pool.unpool import (
    average_unpool2d,
    max_pool2d_with_indices,
    max_unpool2d,
    nearest_unpool2d,
)
from tests.support import float64


@pytest.mark.parametrize("platform", ["cpu", "elsewhere"])
def test_pooling_and_unpooling_equal_torch_with_their_gradients(platform, rng, monkeypatch):
    monkeypatch.setattr(unpool, "by_platform", lambda *operands, **forms: forms[platform](*operands))
    x = np.round(2 * rng.standard_normal((2, 6, 8, 3)))  # with ties
    cotangent = rng.standard_normal(x.shape)
    tensor = torch.tensor(x, requires_grad=True)
    pooled, indices = torch.nn.functional.max_pool2d(tensor.permute(0, 3, 1, 2), 2, return_indices=True)
    back = torch.nn.functional.max_unpool2d(pooled**2, indices, [2, 2]).permute(0, 2, 3, 1)
    back.backward(torch.tensor(cotangent))

    def there_and_back(x):
        values, places = max_pool2d_with_indices(x, window=2)
        return max_unpool2d(values**2, places, size=(6, 8)), places

    @jax.jit
    def with_gradient(x, cotangent):
        y, pullback, places = jax.vjp(there_and_back, x, has_aux=True)
        return y, places, pullback(cotangent)[0]

    with float64():
        y, places, gradient = with_gradient(x, cotangent)
    np.testing.assert_array_equal(places, indices.permute(0, 2, 3, 1))
    np.testing.assert_array_equal(y, back.detach())
    np.testing.assert_allclose(gradient, np.asarray(tensor.grad), rtol=1e-13)


def test_indices_count_rows_of_the_image_without_padding_and_never_name_the_padding():
    x = jnp.full((4, 5, 1), -jnp.inf)
    places = jax.jit(lambda x: max_pool2d_with_indices(x, window=3, stride=2, padding=1)[1])(x)
    np.testing.assert_array_equal(places[..., 0], [[0, 1, 3], [5, 6, 8]])


def test_overlapping_windows_name_one_place_twice_and_the_image_holds_it_once():
    x, places = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2, 0].set(7.0), jnp.full((1, 2, 2, 1), 12)
    values, named = jax.jit(partial(max_pool2d_with_indices, window=3, stride=2))(x)
    np.testing.assert_array_equal(named, places)
    np.testing.assert_array_equal(max_unpool2d(values, places, size=(5, 5)), x)
    gradient = jax.jit(jax.grad(lambda values: jnp.sum(max_unpool2d(values, places, size=(5, 5)))))(values)
    assert sorted(np.asarray(gradient).ravel()) == [0, 0, 0, 1]


def test_places_outside_of_the_image_are_dropped():
    places = jnp.asarray([-1, 4, 3, 2**31 - 1], jnp.int32).reshape(1, 4, 1)
    y = max_unpool2d(jnp.ones((1, 4, 1)), places, size=(2, 2))
    np.testing.assert_array_equal(y.ravel(), [0, 0, 0, 1])


def test_unpooling_to_no_pixels_is_refused():
    with pytest.raises(ValueError, match=r"size must be positive, got \(2, 0\)"):
        max_unpool2d(jnp.ones((1, 1, 1)), jnp.zeros((1, 1, 1), jnp.int32), size=(2, 0))
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        nearest_unpool2d(jnp.ones((1, 1, 1)), window=0)


def test_nearest_unpooling_is_undone_by_average_and_max_pooling(rng):
    x = jnp.asarray(rng.integers(-9, 9, (2, 3, 2, 4)), jnp.float32)
    wide = nearest_unpool2d(x, window=(2, 4))
    np.testing.assert_array_equal(average_pool2d(wide, window=(2, 4)), x)
    np.testing.assert_array_equal(max_pool2d(wide, window=(2, 4)), x)


def test_average_unpooling_is_the_gradient_of_average_pooling(rng):
    cotangent = jnp.asarray(rng.standard_normal((2, 3, 2, 4)), jnp.float32)
    _, pullback = jax.vjp(lambda x: average_pool2d(x, window=(2, 3)), jnp.ones((2, 6, 6, 4)))
    np.testing.assert_allclose(average_unpool2d(cotangent, window=(2, 3)), pullback(cotangent)[0], rtol=1e-6)
