from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from tests.support import float64

F = torch.nn.functional


def channels_first(function):
    return lambda x, *rest: function(x.movedim(-1, 1), *rest).movedim(1, -1)


@pytest.mark.parametrize(
    ("ours", "theirs", "parameters"),
    [
        (layer_norm, lambda x, s, b: F.layer_norm(x, (4,), s, b), 2),
        (rms_norm, lambda x, s: F.rms_norm(x, (4,), s, eps=1e-6), 1),
        (partial(group_norm, groups=2), channels_first(lambda x, s, b: F.group_norm(x, 2, s, b)), 2),
        (instance_norm, channels_first(lambda x, s, b: F.instance_norm(x, weight=s, bias=b)), 2),
    ],
    ids=["layer", "rms", "group", "instance"],
)
def test_gradients_equal_torch(ours, theirs, parameters, rng):
    operands = [2 + 3 * rng.standard_normal((2, 3, 4)), *rng.standard_normal((parameters, 4))]
    cotangent = rng.standard_normal((2, 3, 4))
    tensors = [torch.tensor(a, requires_grad=True) for a in operands]
    theirs(*tensors).backward(torch.tensor(cotangent))
    with float64():
        gradients = jax.jit(lambda operands, cotangent: jax.vjp(ours, *operands)[1](cotangent))(operands, cotangent)
    for actual, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(actual, np.asarray(tensor.grad), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("function", [layer_norm, rms_norm, partial(group_norm, groups=1), instance_norm])
def test_parameters_are_optional_and_float32_beside_bfloat16(function, rng):
    x = jnp.asarray(rng.standard_normal((2, 3, 4)), jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        plain, scaled = jax.jit(lambda x: (function(x), function(x, jnp.full(4, 2.0))))(x)
    assert plain.dtype == scaled.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(scaled, np.float32), 2 * np.asarray(plain, np.float32), rtol=1e-2)


def test_one_group_of_rows_without_space_is_layer_norm(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_allclose(*jax.jit(lambda x: (group_norm(x, groups=1), layer_norm(x)))(x), rtol=1e-6, atol=1e-6)


def test_a_shift_of_a_row_changes_nothing_and_a_factor_only_its_sign(rng):
    x = rng.integers(-8, 8, (3, 16)).astype(np.float32)
    layer, rms = jax.jit(layer_norm), jax.jit(rms_norm)
    np.testing.assert_allclose(layer(x + 4096), layer(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(layer(-64 * x), -layer(x), rtol=1e-5)
    np.testing.assert_allclose(rms(-64 * x), -rms(x), rtol=1e-5)


@pytest.mark.parametrize("function", [layer_norm, rms_norm, instance_norm])
def test_a_nan_stays_in_its_example(function):
    x = (
        jnp.ones((2, 3, 1)).at[0, 1, 0].set(jnp.nan)
        if function is instance_norm
        else jnp.ones((2, 3)).at[0, 1].set(jnp.nan)
    )
    bad = np.isnan(jax.jit(function)(x))
    assert bad[0].all()
    assert not bad[1].any()


def test_zero_rows_of_rms_norm_without_epsilon_give_zero_with_zero_gradient():
    value, gradient = jax.jit(jax.value_and_grad(lambda x: jnp.sum(rms_norm(x, epsilon=0.0))))(jnp.zeros((2, 3)))
    assert value == 0
    assert not gradient.any()


def test_an_image_without_pixels_has_no_gradient_of_its_parameters():
    gradient = jax.jit(jax.grad(lambda s: jnp.sum(group_norm(jnp.zeros((2, 0, 4)), s, groups=2))))(jnp.ones(4))
    np.testing.assert_array_equal(gradient, np.zeros(4))


def test_instances_of_one_pixel_are_refused():
    with pytest.raises(ValueError, match=r"^each group must hold more than one value, got x of shape \(2, 1, 3\) in 3"):
        instance_norm(jnp.ones((2, 1, 3)))


@pytest.mark.parametrize("groups", [0, -1, 3, 8])
def test_groups_that_do_not_divide_the_channels_are_refused(groups):
    with pytest.raises(ValueError, match=rf"^groups must divide the 4 channels, got {groups}$"):
        group_norm(jnp.ones((2, 3, 4)), groups=groups)
