import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax import lax

from fjdl.functional.conv import conv3d as module
from fjdl.functional.conv.conv3d import conv3d
from tests.support import float64


@pytest.mark.parametrize(("padding", "theirs"), [("SAME", "same"), ("VALID", "valid")])
def test_paddings_equal_torch(padding, theirs, rng):
    x, kernel = rng.standard_normal((2, 4, 3, 4, 2)), rng.standard_normal((3, 3, 1, 2, 3))
    volumes, weights = torch.tensor(x).movedim(-1, 1), torch.tensor(kernel).permute(4, 3, 0, 1, 2)
    expected = torch.nn.functional.conv3d(volumes, weights, padding=theirs)
    with float64():
        y = jax.jit(lambda *a: conv3d(*a, padding=padding))(x, kernel)
    np.testing.assert_allclose(y, expected.movedim(1, -1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2, "padding": "REFLECT"}, {"stride": 3, "padding": 1}],
    ids=str,
)
def test_the_convolution_of_volumes_that_other_platforms_get_equals_that_of_slices(options, rng, monkeypatch):
    x, kernel, bias = rng.standard_normal((2, 6, 5, 6, 4)), rng.standard_normal((3, 2, 3, 4, 4)), rng.standard_normal(4)
    kernel = kernel[..., : 4 // options.get("groups", 1), :]

    def both(*operands):
        y, pullback = jax.vjp(lambda *a: conv3d(*a, **options), *operands)
        return y, pullback(jnp.cos(y))

    with float64():
        expected = jax.jit(both)(x, kernel, bias)
        monkeypatch.setattr(module, "by_platform", lambda *operands, cpu, elsewhere: elsewhere(*operands))
        actual = jax.jit(lambda *a: both(*a))(x, kernel, bias)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11), actual, expected)


def test_second_derivatives_equal_those_of_xlas_convolution(rng):
    x, kernel = rng.standard_normal((1, 3, 2, 3, 2)), rng.standard_normal((2, 2, 2, 2, 2))

    def second(conv):
        return jax.jit(jax.jacfwd(jax.grad(lambda t: jnp.sum(jnp.sin(conv(t[0] * x, t[1] * kernel))))))

    def plain(x, kernel):
        return lax.conv_general_dilated(x, kernel, (1, 1, 1), "SAME", dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))

    with float64():
        point = jnp.array([1.5, 0.5])
        np.testing.assert_allclose(second(conv3d)(point), second(plain)(point), rtol=1e-10)


def test_the_gradient_of_many_slices_is_summed_in_float32():
    x, kernel = jnp.ones((9, 1, 1, 1), jnp.bfloat16), jnp.ones((9, 1, 1, 1, 1), jnp.bfloat16)
    cotangent = jnp.ones((9, 1, 1, 1), jnp.bfloat16).at[4].set(512.0)
    gradient = jax.jit(lambda x, ct: jax.vjp(lambda x: conv3d(x, kernel), x)[1](ct)[0])(x, cotangent)
    assert gradient.dtype == jnp.bfloat16
    assert float(gradient[4, 0, 0, 0]) == 520.0  # in bfloat16 512 + 1 is 512


@pytest.mark.parametrize("batch", [(), (0,), (2, 1)], ids=str)
def test_any_number_of_batch_axes(batch):
    shape = jax.eval_shape(conv3d, np.ones((*batch, 4, 3, 5, 2)), np.ones((3, 2, 1, 2, 4))).shape
    assert shape == (*batch, 4, 3, 5, 4)


def test_a_kernel_deeper_than_the_volume_is_refused():
    with pytest.raises(ValueError, match="the window must fit into the padded image, got window 5"):
        conv3d(jnp.ones((4, 3, 3, 1)), jnp.ones((5, 1, 1, 1, 1)), padding="VALID")
