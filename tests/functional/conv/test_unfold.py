import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional.conv.unfold import col2im, im2col
from tests.support import float64

OPTIONS = {"window": (2, 3), "stride": (1, 2), "padding": ((1, 0), (2, 1)), "dilation": (2, 1)}


def test_each_row_is_a_window_in_the_order_row_column_channel():
    x = np.arange(24.0, dtype=np.float32).reshape(1, 3, 4, 2)
    columns = im2col(x, window=2)
    assert columns.shape == (1, 2, 3, 8)
    np.testing.assert_array_equal(columns[0, 1, 2], x[0, 1:3, 2:4].reshape(-1))
    np.testing.assert_array_equal(columns[0, 0, 1], [2, 3, 4, 5, 10, 11, 12, 13])


def test_col2im_is_the_exact_adjoint(rng):
    x, columns = rng.integers(-9, 9, (2, 5, 6, 2)), rng.integers(-9, 9, (2, 4, 4, 12))
    x, columns = x.astype(np.float32), columns.astype(np.float32)

    @jax.jit
    def both(x, columns):
        there, pull = jax.vjp(lambda x: im2col(x, **OPTIONS), x)
        back, push = jax.vjp(lambda c: col2im(c, size=(5, 6), **OPTIONS), columns)
        return there, back, pull(columns)[0], push(x)[0]

    there, back, pulled, pushed = both(x, columns)
    assert np.vdot(there, columns) == np.vdot(x, back)
    np.testing.assert_array_equal(pulled, back)
    np.testing.assert_array_equal(pushed, there)


def test_there_and_back_multiplies_by_the_number_of_windows_over_each_pixel():
    x = jnp.ones((1, 4, 5, 1))
    overlapping = jax.jit(lambda x: col2im(im2col(x, window=2), size=(4, 5), window=2))(x)
    np.testing.assert_array_equal(overlapping[0, :, :, 0], np.outer([1, 2, 2, 1], [1, 2, 2, 2, 1]))
    tiles = jax.jit(lambda x: col2im(im2col(x, window=2, stride=2), size=(4, 5), window=2, stride=2))(x)
    np.testing.assert_array_equal(tiles[0, :, :, 0], np.outer([1, 1, 1, 1], [1, 1, 1, 1, 0]))


@pytest.mark.parametrize("direction", ["function", "gradient"])
def test_small_terms_beside_a_large_one_are_summed_in_float32(direction):
    columns = jnp.ones((3, 3, 9), jnp.bfloat16).at[2, 2, 0].set(512.0)
    if direction == "function":
        total = jax.jit(lambda c: col2im(c, size=(5, 5), window=3))(columns)
    else:
        x = jnp.ones((5, 5, 1), jnp.bfloat16)
        total = jax.jit(lambda x, c: jax.vjp(lambda x: im2col(x, window=3), x)[1](c)[0])(x, columns)
    assert total.dtype == jnp.bfloat16
    assert float(total[2, 2, 0]) == 520.0  # in bfloat16 512 + 1 is 512


@pytest.mark.parametrize("batch", [(), (0,), (2, 1)], ids=str)
def test_any_number_of_batch_axes(batch):
    columns = jax.eval_shape(lambda x: im2col(x, window=3), np.ones((*batch, 3, 3, 2)))
    assert columns.shape == (*batch, 1, 1, 18)
    assert jax.eval_shape(lambda c: col2im(c, size=(3, 3), window=3), columns).shape == (*batch, 3, 3, 2)


def test_the_hessian_of_both_together_is_that_of_a_quadratic(rng):
    x = rng.standard_normal((3, 3, 1))
    with float64():
        hessian = jax.jit(jax.hessian(lambda x: jnp.sum(jnp.square(im2col(x, window=2)))))(x)
    np.testing.assert_array_equal(hessian.reshape(9, 9), np.diag(2.0 * np.outer([1, 2, 1], [1, 2, 1]).reshape(-1)))
