import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional import conv2d
from fjdl.functional.conv.gradients import conv2d_input_gradient
from fjdl.functional.conv.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from tests.support import float64

# Image, stride and other options; the rows a convolution makes of that image are the input of its transpose.
ADJOINTS = [
    ((6, 4), (2, 2), {"stride": 2}),
    ((3, 9), (3, 2), {"stride": (1, 3), "padding": "SAME", "dilation": (2, 1)}),
    ((6, 7), (3, 2), {"stride": (2, 3), "padding": ((1, 0), (2, 1)), "groups": 2}),
]


@pytest.mark.parametrize(("size", "window", "options"), ADJOINTS, ids=str)
def test_it_is_the_exact_adjoint_of_conv2d(size, window, options, rng):
    within = 4 // options.get("groups", 1)
    x, kernel = (rng.integers(-9, 9, shape).astype(np.float32) for shape in ((2, *size, 4), (*window, within, 6)))
    y = jax.jit(lambda *a: conv2d(*a, **options))(x, kernel)
    cotangent = rng.integers(-9, 9, y.shape).astype(np.float32)
    pads, steps = options.get("padding", "SAME"), options["stride"]
    extra = 0
    if pads != "SAME":
        spare = zip(size, window, steps, pads, strict=True)
        extra = tuple((n + sum(sides) - k) % s for n, k, s, sides in spare)
    back = jax.jit(lambda *a: conv_transpose2d(*a, output_padding=extra, **options))(cotangent, kernel)
    assert np.vdot(y, cotangent) == np.vdot(x, back)
    explicit = jax.jit(lambda *a: conv2d_input_gradient(*a, size=size, **options))(cotangent, kernel)
    np.testing.assert_array_equal(back, explicit)


@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_same_padding_multiplies_the_size_by_the_stride(window):
    shape = jax.eval_shape(
        lambda x, k: conv_transpose2d(x, k, stride=(2, 3)), np.ones((2, 4, 5, 3)), np.ones((window, window, 6, 3))
    )
    assert shape.shape == (2, 8, 15, 6)


def test_every_pixel_paints_the_kernel_times_itself():
    kernel = np.arange(1.0, 5.0, dtype=np.float32).reshape(2, 2, 1, 1)
    x = np.array([[[1.0], [10.0]]], np.float32)
    y = jax.jit(lambda x, k: conv_transpose2d(x, k, stride=2))(x, kernel)
    np.testing.assert_array_equal(y[..., 0], [[1, 2, 10, 20], [3, 4, 30, 40]])
    overlapping = jax.jit(lambda x, k: conv_transpose2d(x, k, padding="VALID"))(x, kernel)
    np.testing.assert_array_equal(overlapping[..., 0], [[1, 12, 20], [3, 34, 40]])


def test_second_derivatives_equal_torch(rng):
    x, kernel = rng.standard_normal((1, 2, 3, 2)), rng.standard_normal((3, 3, 2, 2))

    def loss(t):
        return jnp.sum(jnp.sin(conv_transpose2d(t[0] * x, t[1] * kernel, stride=2, padding=1)))

    images, weights = torch.tensor(x).movedim(-1, 1), torch.tensor(kernel).permute(3, 2, 0, 1)

    def theirs(t):
        return torch.sin(torch.nn.functional.conv_transpose2d(t[0] * images, t[1] * weights, None, 2, 1)).sum()

    with float64():
        hessian = jax.jit(jax.hessian(loss))(jnp.array([1.5, 0.5]))
    expected = torch.autograd.functional.hessian(theirs, torch.tensor([1.5, 0.5], dtype=torch.float64))
    np.testing.assert_allclose(hessian, expected, rtol=1e-10)


def test_bfloat16_is_accumulated_in_float32():
    x = np.full((1, 1, 4096), 1e-2)
    x[0, 0, 0] = 256.0
    y = jax.jit(conv_transpose2d)(jnp.asarray(x, jnp.bfloat16), np.ones((1, 1, 1, 4096), np.float32))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(float(y[0, 0, 0]), 256 + 4095 * 1e-2, rtol=2**-7)


@pytest.mark.parametrize(("function", "axes"), [(conv_transpose1d, 1), (conv_transpose2d, 2), (conv_transpose3d, 3)])
@pytest.mark.parametrize("batch", [(), (0,), (2, 1)], ids=str)
def test_any_number_of_batch_axes(function, axes, batch):
    x, kernel = np.ones((*batch, *(3,) * axes, 2)), np.ones((*(2,) * axes, 5, 2))
    y = jax.eval_shape(lambda x, k: function(x, k, np.ones(5), stride=2, padding="VALID"), x, kernel)
    assert y.shape == (*batch, *(6,) * axes, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"stride": 2, "output_padding": 2, "padding": 0},
            "output_padding must lie in [0, stride), got 2 and stride 2",
        ),
        ({"output_padding": -1, "padding": 0}, "output_padding must lie in [0, stride), got -1 and stride 1"),
        ({"stride": 2, "output_padding": 1}, 'output_padding must be 0 with padding "SAME", got (1, 1)'),
        ({"padding": 3}, "padding must leave at least one pixel, got padding (3, 3) of 5"),
        ({"padding": -1}, "padding must not be negative, got -1"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"groups": 0}, "groups must divide the input channels and kernel must have no empty axis, got groups=0"),
    ],
    ids=str,
)
def test_impossible_options_are_refused_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        conv_transpose2d(jnp.ones((1, 3, 3, 2)), jnp.ones((3, 3, 4, 2)), **options)
    assert "\n" not in str(error.value)
