from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from jax import lax

from fjdl.functional import conv2d
from fjdl.functional.conv.algorithms import conv2d_fft, conv2d_im2col
from tests.support import float64

ROUTES = {"conv2d": conv2d, "im2col": conv2d_im2col, "fft": conv2d_fft}

# Few channels, which `conv2d` computes as band matrices on a CPU; many, which it does not; groups with dilation.
GEOMETRIES = [
    ((2, 7, 8, 3), (3, 2, 3, 4), {"stride": (2, 1), "padding": ((2, 0), (1, 3))}),
    ((1, 6, 5, 18), (2, 3, 18, 17), {"stride": 1, "padding": "SAME"}),
    ((2, 6, 7, 4), (2, 3, 2, 6), {"stride": (1, 2), "padding": 2, "dilation": (3, 2), "groups": 2}),
]


def direct(x, kernel, *, stride, padding, dilation=(1, 1), groups=1):
    """XLA's own convolution, without any of our rules."""
    pads = ((padding, padding),) * 2 if isinstance(padding, int) else padding
    stride = (stride, stride) if isinstance(stride, int) else stride
    return lax.conv_general_dilated(
        x,
        kernel,
        stride,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
        precision=lax.Precision.HIGHEST,
    )


@jax.jit
def every_route(operands):
    return [
        {name: route(*arrays, **options) for name, route in (ROUTES | {"direct": direct}).items()}
        for arrays, (*_, options) in zip(operands, GEOMETRIES, strict=True)
    ]


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 1.0, 1e6]))
@settings(max_examples=25, deadline=None)
def test_direct_banded_im2col_and_fft_agree_to_rounding(seed, scale):
    rng = np.random.default_rng(seed)
    operands = [
        ((scale * rng.standard_normal(x)).astype(np.float32), rng.standard_normal(k).astype(np.float32))
        for x, k, _ in GEOMETRIES
    ]
    for results in every_route(operands):
        largest = np.abs(results["direct"]).max()
        for y in results.values():
            np.testing.assert_allclose(y, results["direct"], rtol=0, atol=3e-6 * largest)


@pytest.mark.slow
@pytest.mark.parametrize("route", [conv2d_im2col, conv2d_fft])
def test_all_derivatives_equal_those_of_conv2d(route, rng):
    x, kernel, bias = (rng.standard_normal(shape) for shape in ((1, 4, 5, 2), (2, 3, 1, 4), (4,)))
    options = {"stride": (1, 2), "padding": 1, "dilation": (2, 1), "groups": 2}

    def derivatives(conv):
        def loss(t, *arrays):
            return jnp.sum(jnp.sin(conv(*(t * a for a in arrays), **options)))

        run = jax.jit(jax.jacfwd(jax.grad(loss, (0, 1, 2, 3))))  # second derivatives, forward over reverse
        return jax.tree.leaves(run(1.5, x, kernel, bias))

    with float64():
        for ours, expected in zip(derivatives(route), derivatives(conv2d), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("route", [conv2d_im2col, conv2d_fft])
def test_bfloat16_is_accumulated_in_float32(route):
    x = np.full((1, 2, 2, 1024), 1e-2)
    x[0, 0, 0, 0] = 256.0
    y = jax.jit(partial(route, padding="VALID"))(
        jnp.asarray(x, jnp.bfloat16), np.ones((2, 2, 1024, 1), np.float32), None
    )
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(y, np.float64), 256 + 4095 * 1e-2, rtol=2**-7)


@pytest.mark.parametrize("route", [conv2d_im2col, conv2d_fft])
def test_any_number_of_batch_axes(route):
    kernel = np.ones((2, 2, 2, 5), np.float32)
    for batch in ((), (2, 1)):
        assert jax.eval_shape(route, np.ones((*batch, 4, 3, 2), np.float32), kernel).shape == (*batch, 4, 3, 5)
    assert jax.jit(route)(np.ones((0, 4, 3, 2), np.float32), kernel).shape == (0, 4, 3, 5)


def test_a_nan_spreads_to_its_neighbours_alone_but_for_the_fourier_transform():
    x, kernel = np.zeros((2, 7, 7, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    x[0, 3, 3, 0] = np.nan
    assert np.isnan(jax.jit(conv2d_im2col)(x, kernel)).sum() == 9
    spoiled = np.isnan(jax.jit(conv2d_fft)(x, kernel))
    assert spoiled[0].all()
    assert not spoiled[1].any()
