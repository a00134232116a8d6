"""A batch normalization as a part of the product before it."""

import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import quant
from fjdl.functional import batch_norm_inference, linear


def normals(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("affine", [True, False])
def test_kernel_and_bias_are_those_of_pytorch(affine: bool) -> None:
    torch = pytest.importorskip("torch")
    kernel, mean, bias = normals(3, 3, 2, 4, seed=0), normals(4, seed=1), normals(4, seed=2)
    variance = np.square(normals(4, seed=3))
    scale, shift = (
        (normals(4, seed=4), normals(4, seed=5)) if affine else (np.ones(4, np.float32), np.zeros(4, np.float32))
    )
    weight = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    rest = (torch.from_numpy(x) for x in (bias, mean, variance))
    fused = torch.nn.utils.fusion.fuse_conv_bn_weights(
        weight, *rest, 1e-3, torch.from_numpy(scale), torch.from_numpy(shift)
    )
    given = {"scale": scale, "shift": shift} if affine else {}
    found = quant.fold_batch_norm(kernel, mean, variance, bias=bias, epsilon=1e-3, **given)
    np.testing.assert_allclose(found[0], fused[0].detach().numpy().transpose(2, 3, 1, 0), rtol=1e-5)
    np.testing.assert_allclose(found[1], fused[1].detach().numpy(), rtol=1e-5, atol=1e-6)


def test_the_product_of_a_folded_kernel_is_the_normalized_product() -> None:
    x, kernel, mean, variance = normals(5, 3, seed=0), normals(3, 2, seed=1), normals(2, seed=2), np.float32([0.0, 9.0])
    found = linear(x, *quant.fold_batch_norm(kernel, mean, variance))
    np.testing.assert_allclose(found, batch_norm_inference(linear(x, kernel), mean, variance), rtol=1e-4, atol=1e-3)


def test_channels_may_be_another_axis_and_halves_are_folded_in_float32() -> None:
    kernel = jnp.ones((2, 3), jnp.bfloat16)
    folded, bias = quant.fold_batch_norm(kernel, jnp.zeros(2), jnp.array([1.0, 4.0]), epsilon=0.0, axis=0)
    np.testing.assert_array_equal(folded, [[1, 1, 1], [0.5, 0.5, 0.5]])
    assert (folded.dtype, bias.dtype) == (jnp.float32, jnp.float32)


def test_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"axis -1 of kernel must have the 3 channels of mean, got \(3, 2\)"):
        quant.fold_batch_norm(jnp.ones((3, 2)), jnp.zeros(3), jnp.ones(3))
