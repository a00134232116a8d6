from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional.pool.fixed import average_pool2d, global_average_pool2d, max_pool2d


def sizes(pool, side, **options):
    return jax.eval_shape(partial(pool, **options), jnp.ones((1, side, side, 1))).shape[1:3]


@pytest.mark.parametrize("pool", [average_pool2d, max_pool2d])
def test_e59_the_size_is_the_floor_of_room_over_stride_plus_one(pool):
    assert sizes(pool, 6, window=2, stride=2) == (3, 3)  # and not (6 - 2) / 2 = 2
    assert sizes(pool, 7, window=2, stride=2) == (3, 3)  # (7 - 2) / 2 = 2.5 rounds down
    assert sizes(pool, 7, window=2, stride=2, padding=1) == (4, 4)  # (7 + 2 - 2) / 2 = 3.5


def test_alexnet_pools_55_to_27_to_13_to_6_with_overlapping_windows_of_3_every_2():
    assert [sizes(max_pool2d, side, window=3, stride=2)[0] for side in (55, 27, 13)] == [27, 13, 6]


def test_lenet_pools_28_to_14_and_10_to_5():
    assert [sizes(average_pool2d, side, window=2)[0] for side in (28, 10)] == [14, 5]


def test_e65_zfnet_pools_110_to_55_and_26_to_13_need_ceil_mode_or_padding():
    for side, pooled in ((110, 55), (26, 13)):
        assert sizes(max_pool2d, side, window=3, stride=2) == (pooled - 1, pooled - 1)
        assert sizes(max_pool2d, side, window=3, stride=2, ceil_mode=True) == (pooled, pooled)
        assert sizes(max_pool2d, side, window=3, stride=2, padding=1) == (pooled, pooled)


def test_the_gradient_of_a_maximum_goes_to_the_largest_entry_and_of_a_tie_to_the_first():
    routed = jax.jit(jax.grad(lambda x: 5 * jnp.sum(max_pool2d(x, window=2))))
    np.testing.assert_array_equal(routed(jnp.asarray([[1.0, 3.0], [4.0, 2.0]])[..., None])[..., 0], [[0, 0], [5, 0]])
    np.testing.assert_array_equal(routed(jnp.ones((2, 2, 1)))[..., 0], [[5, 0], [0, 0]])


def test_r27_a_corner_of_ones_averages_4_of_9_with_padding_counted_and_1_without():
    counted = average_pool2d(jnp.ones((3, 3, 1)), window=3, stride=1, padding="SAME")
    entries = average_pool2d(jnp.ones((3, 3, 1)), window=3, stride=1, padding="SAME", count_include_pad=False)
    np.testing.assert_allclose(counted[0, 0], [4 / 9], rtol=1e-6)
    np.testing.assert_array_equal(entries, np.ones((3, 3, 1)))


def test_e57_pooling_forgets_small_shifts_only():
    x = jnp.zeros((4, 4, 1)).at[0, 0].set(1.0)
    pooled = max_pool2d(x, window=2)
    np.testing.assert_array_equal(max_pool2d(jnp.roll(x, 1, axis=1), window=2), pooled)
    assert not np.array_equal(max_pool2d(jnp.roll(x, 2, axis=1), window=2), pooled)


def test_global_average_pooling_is_one_number_for_each_map():
    x = jnp.stack([jnp.arange(4.0).reshape(2, 2), jnp.full((2, 2), 5.0)], -1)
    np.testing.assert_array_equal(global_average_pool2d(x), [1.5, 5.0])
