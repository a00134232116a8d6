import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional import initializers
from fjdl.nn.activations import Maxout, PReLU

KEY = jax.random.key(0)


def test_prelu_equals_torch_in_value_and_the_gradient_of_its_slope(rng):
    x = rng.standard_normal((6, 4)).astype(np.float32)
    for module, theirs in ((PReLU(), torch.nn.PReLU()), (PReLU(per_channel=True), torch.nn.PReLU(4))):
        params = module.init(KEY, x)
        slope = params["params"]["slope"]
        np.testing.assert_array_equal(slope.reshape(-1), theirs.weight.detach())
        gradient = jax.grad(lambda params, module=module: module.apply(params, x).sum())(params)["params"]["slope"]
        expected = theirs(torch.tensor(x))
        expected.sum().backward()
        np.testing.assert_allclose(module.apply(params, x), expected.detach(), rtol=1e-6)
        np.testing.assert_allclose(gradient.reshape(-1), theirs.weight.grad, rtol=1e-5)


def test_prelu_in_bfloat16_keeps_a_float32_slope():
    x = jnp.array([[-2.0, 4.0]], jnp.bfloat16)
    params = PReLU(slope_init=initializers.constant(0.5)).init(KEY, x)
    assert params["params"]["slope"].dtype == jnp.float32
    y = PReLU().apply(params, x)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.float32(y), [[-1, 4]])


def test_maxout_is_the_largest_of_its_dense_maps(rng):
    x = rng.standard_normal((2, 5, 3)).astype(np.float32)
    module, kernel, bias = Maxout(4, pieces=3), rng.standard_normal((3, 4, 3)), rng.standard_normal((4, 3))
    params = {"params": {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}}
    declared = jax.eval_shape(module.init, KEY, x)["params"]
    assert {name: array.shape for name, array in declared.items()} == {"kernel": (3, 4, 3), "bias": (4, 3)}
    expected = np.stack([x @ kernel[..., k] + bias[:, k] for k in range(3)]).max(axis=0)
    np.testing.assert_allclose(module.apply(params, x), expected, rtol=1e-5, atol=1e-6)


def test_every_map_of_maxout_is_drawn_like_a_dense_kernel_from_a_key_of_its_own():
    shapes = []

    def init(key, shape):
        shapes.append(shape)
        return jnp.full(shape, jax.random.uniform(key))

    kernel = Maxout(4, pieces=3, kernel_init=init).init(KEY, jnp.ones((1, 5)))["params"]["kernel"]
    assert set(shapes) == {(5, 4)}
    assert kernel.shape == (5, 4, 3)
    assert len(np.unique(kernel)) == 3
    assert np.ptp(kernel, axis=(0, 1)).max() == 0


def test_without_a_bias_maxout_has_only_a_kernel():
    params = jax.eval_shape(Maxout(2, pieces=2, use_bias=False).init, KEY, jnp.ones((1, 3)))["params"]
    assert params.keys() == {"kernel"}


def test_maxout_of_no_maps_is_refused():
    with pytest.raises(ValueError, match="kernel must hold at least one affine map"):
        Maxout(2, pieces=0).init(KEY, jnp.ones((1, 3)))
