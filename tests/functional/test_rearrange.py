import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional.rearrange import channel_shuffle, depth_to_space, space_to_depth


def test_four_channels_become_a_block_row_by_row():
    y = depth_to_space(jnp.arange(8).reshape(1, 1, 8), block=2)
    np.testing.assert_array_equal(y[:, :, 0], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(y[:, :, 1], [[4, 5], [6, 7]])


def test_space_to_depth_undoes_depth_to_space_in_any_dtype():
    x = jnp.arange(2 * 3 * 4 * 18, dtype=jnp.uint8).reshape(2, 3, 4, 18)
    y = space_to_depth(depth_to_space(x, block=3), block=3)
    np.testing.assert_array_equal(y, x)
    assert y.dtype == jnp.uint8


def test_channels_are_dealt_in_turn_from_each_group_and_put_back():
    x = jnp.arange(6)
    np.testing.assert_array_equal(channel_shuffle(x, groups=2), [0, 3, 1, 4, 2, 5])
    np.testing.assert_array_equal(channel_shuffle(channel_shuffle(x, groups=2), groups=3), x)


@pytest.mark.parametrize("function", [depth_to_space, space_to_depth])
def test_blocks_below_one_are_refused(function):
    with pytest.raises(ValueError, match="block must be at least 1, got 0"):
        function(jnp.ones((2, 2, 4)), block=0)


def test_groups_below_one_are_refused():
    with pytest.raises(ValueError, match="groups must be at least 1 and divide the channels, got 0 groups of 4"):
        channel_shuffle(jnp.ones((2, 2, 4)), groups=0)
