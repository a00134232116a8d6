from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional.resize import resize2d
from tests.support import float64

METHODS = [
    ("nearest", False),
    ("nearest-exact", False),
    ("bilinear", False),
    ("bilinear", True),
    ("bicubic", False),
    ("bicubic", True),
]
each_method = pytest.mark.parametrize(("method", "antialias"), METHODS, ids=str)


def torch_resize(x, *, size, method, antialias):
    corners = {} if method.startswith("nearest") else {"align_corners": False}
    y = torch.nn.functional.interpolate(x.permute(0, 3, 1, 2), size, mode=method, antialias=antialias, **corners)
    return y.permute(0, 2, 3, 1)


def value_and_gradient(function, x, cotangent):
    y, pullback = jax.vjp(function, x)
    return y, pullback(cotangent)[0]


@each_method
@pytest.mark.parametrize("size", [(14, 5), (3, 23)], ids=str)
def test_value_and_gradient_equal_torch(size, method, antialias, rng):
    x = rng.standard_normal((1, 7, 10, 2))
    tensor = torch.tensor(x, requires_grad=True)
    y = torch_resize(tensor, size=size, method=method, antialias=antialias)
    cotangent = rng.standard_normal(tuple(y.shape))
    y.backward(torch.tensor(cotangent))
    with float64():
        function = partial(resize2d, size=size, method=method, antialias=antialias)
        value, gradient = jax.jit(partial(value_and_gradient, function))(x, cotangent)
    np.testing.assert_allclose(value, y.detach(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gradient, np.asarray(tensor.grad), rtol=1e-12, atol=1e-12)


@each_method
def test_an_image_at_its_own_size_comes_back_bit_for_bit(method, antialias, rng):
    x = jnp.asarray(rng.standard_normal((5, 6, 2)), jnp.float32).at[0, 0, 0].set(jnp.nan)
    np.testing.assert_array_equal(resize2d(x, size=(5, 6), method=method, antialias=antialias), x)


@each_method
def test_a_constant_image_stays_constant(method, antialias):
    y = resize2d(jnp.full((5, 3, 1), 0.7), size=(2, 8), method=method, antialias=antialias)
    np.testing.assert_allclose(y, 0.7, rtol=1e-6)


def test_without_antialias_shrinking_skips_pixels_and_with_it_counts_every_one():
    """At 1.5 and 5.5 triangles of reach 4 weight pixels 1 and 5 by 7/8 + 1/8 and by 0 + 7/8, of 28/8 in all."""
    x = jnp.asarray([0.0, 1, 0, 0, 0, 1, 0, 0]).reshape(1, 8, 1)
    np.testing.assert_array_equal(resize2d(x, size=(1, 2)).ravel(), [0.5, 0.5])
    np.testing.assert_allclose(resize2d(x, size=(1, 2), antialias=True).ravel(), [2 / 7, 1 / 4], rtol=1e-6)


def test_bicubic_weights_overshoot_and_pixels_beyond_the_border_repeat_its_own():
    """Twice as wide, a step of one lies 1/4 and 3/4 from the new centres: weights of Keys with slope -3/4."""
    y = resize2d(jnp.asarray([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]).reshape(1, 6, 1), size=(1, 12), method="bicubic").ravel()
    np.testing.assert_allclose(y[4:8], [-0.10546875, 0.2265625, 0.7734375, 1.10546875], rtol=1e-6)
    np.testing.assert_array_equal(y[0], 0)
    np.testing.assert_allclose(y[-1], 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 3)}, r"size must be positive, got \(0, 3\)"),
        ({"size": (2, 3), "method": "nearest", "antialias": True}, "antialias needs bilinear or bicubic weights"),
        ({"size": (2, 3), "method": "lanczos"}, "argument `method`"),
    ],
    ids=str,
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        resize2d(jnp.ones((4, 4, 1)), **options)
