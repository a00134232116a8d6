import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl.metrics.classification import confusion_table


@pytest.mark.parametrize("labels", [(4, 2, 9), (9,), (5, 6, 7), (-3, 300, 0)])
@pytest.mark.parametrize("dtype", [np.int32, np.int8])
def test_positions_are_those_in_the_labels(labels, dtype):
    values = np.arange(-5, 12).astype(dtype)
    expected = [labels.index(v) if v in labels else len(labels) for v in values.tolist()]
    np.testing.assert_array_equal(confusion_table.positions(values, labels), expected)


@pytest.mark.parametrize("labels", [(-1, 0), (1, 2), (5, -7)])
def test_extreme_labels_do_not_wrap_around(labels):
    limits = np.iinfo(np.int32)
    np.testing.assert_array_equal(confusion_table.positions(np.int32([limits.min, limits.max]), labels), [2, 2])


def test_labels_that_occur_are_found_in_ascending_order():
    assert confusion_table.known_labels(None, np.array([7, 2, 7]), np.array([True, False])) == (0, 1, 2, 7)


def test_bools_and_unsigned_labels_make_tables():
    y_true, y_pred = np.array([True, False, True]), np.array([1, 1, 0], np.uint8)
    np.testing.assert_array_equal(confusion_table.confusion_table(y_true, y_pred), sk.confusion_matrix(y_true, y_pred))


def test_traced_arrays_need_labels_in_one_sentence():
    with pytest.raises(ValueError, match=r"^labels must be given where y_true and y_pred are traced, for "):
        jax.jit(confusion_table.confusion_table)(np.array([0, 1]), np.array([0, 1]))


@pytest.mark.parametrize("labels", [(), (1, 1)])
def test_labels_must_be_distinct(labels):
    with pytest.raises(ValueError, match=r"^labels must be distinct and at least one, got \("):
        confusion_table.confusion_table(np.array([0]), np.array([1]), labels=labels)


def test_weights_need_the_shape_of_the_labels():
    with pytest.raises(ValueError, match=r"argument `sample_weight` must be .*n=2"):
        confusion_table.confusion_table(np.array([0, 1]), np.array([0, 1]), sample_weight=np.ones((2, 1)))


def test_weights_are_differentiable():
    def right(weights):
        return confusion_table.confusion_table(
            np.array([0, 1, 1]), np.array([0, 1, 0]), labels=(0, 1), sample_weight=weights
        )

    gradient = jax.jacobian(lambda w: jnp.trace(right(w)))(jnp.ones(3))
    np.testing.assert_array_equal(gradient, [1, 1, 0])
