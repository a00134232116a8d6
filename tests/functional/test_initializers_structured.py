import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import torch

from fjdl.functional import initializers
from fjdl.functional.conv.conv2d import conv2d
from tests.support import float64

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(20, 6), (3, 3, 2, 30), (1, 4)], ids=str)
def test_orthogonal_kernels_have_orthonormal_rows_or_columns(shape):
    with float64():
        matrix = np.asarray(initializers.orthogonal(gain=3.0)(KEY, shape, jnp.float64)).reshape(-1, shape[-1])
    product = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(product, 9 * np.eye(len(product)), atol=1e-13)


def test_orthogonal_kernels_are_uniform_over_rotations_and_reflections():
    # An entry of a uniform 2 x 2 orthogonal matrix is the cosine of a uniform angle; both determinants are as likely.
    drawn = np.asarray(jax.vmap(lambda key: initializers.orthogonal()(key, (2, 2)))(jax.random.split(KEY, 4000)))
    angles = np.arctan2(drawn[:, 1, 0], drawn[:, 0, 0])
    assert scipy.stats.kstest(angles, scipy.stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3
    assert abs(np.mean(np.linalg.det(drawn) > 0) - 0.5) < 0.04


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)], ids=str)
def test_identity_equals_torch(shape):
    np.testing.assert_array_equal(initializers.identity()(KEY, shape), torch.nn.init.eye_(torch.empty(shape)))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(3, 4, 6), (5, 3, 4, 4), (3, 3, 4, 8), (1, 3, 3, 2, 4)], ids=str)
def test_dirac_equals_torch_for_odd_windows(shape, groups):
    kernel = torch.nn.init.dirac_(torch.empty(shape[-1], shape[-2], *shape[:-2]), groups=groups)
    expected = kernel.permute(*range(2, len(shape)), 1, 0)
    np.testing.assert_array_equal(initializers.dirac(groups=groups)(KEY, shape), expected)


@pytest.mark.parametrize("window", [(3, 3), (2, 4), (1, 5)], ids=str)
def test_a_dirac_convolution_is_the_identity_for_every_window(window, rng):
    x = rng.standard_normal((1, 5, 6, 4)).astype(np.float32)
    for groups in (1, 2):
        kernel = initializers.dirac(groups=groups)(KEY, (*window, 4 // groups, 4))
        np.testing.assert_allclose(conv2d(x, kernel, groups=groups), x, rtol=1e-6)


def test_shapes_and_groups_that_have_no_such_kernel_are_refused():
    for init, shape, message in (
        (initializers.orthogonal(), (3,), r"shape must have at least two axes to be orthogonal, got \(3,\)"),
        (initializers.identity(), (3, 3, 2, 2), r"shape must have two axes, got \(3, 3, 2, 2\)"),
        (initializers.dirac(), (3, 3), r"shape must have a window and two axes of channels, got \(3, 3\)"),
        (initializers.dirac(groups=2), (3, 2, 3), r"groups must be positive and divide the outputs, got 2 for \(3, 2"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            init(KEY, shape)
