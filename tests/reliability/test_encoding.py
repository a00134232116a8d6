"""Labels out of range never become another class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import multi_hot, one_hot


@pytest.mark.parametrize("label", [-1, 4, 255, 2**31 - 1])
def test_r26_a_label_out_of_range_makes_its_own_vector_nan_and_no_other(label: int) -> None:
    vectors = jax.jit(lambda labels: one_hot(labels, classes=4))(jnp.asarray([2, label, 0]))
    assert np.isnan(vectors[1]).all()
    np.testing.assert_array_equal(vectors[np.array([0, 2])], np.eye(4)[[2, 0]])


@pytest.mark.parametrize("label", [-2, 4, 255])
def test_r26_so_does_one_of_several_labels(label: int) -> None:
    vectors = jax.jit(lambda labels: multi_hot(labels, classes=4))(jnp.asarray([[2, -1], [0, label]]))
    np.testing.assert_array_equal(vectors[0], [0, 0, 1, 0])
    assert np.isnan(vectors[1]).all()
