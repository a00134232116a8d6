import numpy as np
import pytest

from fjdl.data.loading import to_device
from fjdl.data.source import Source, from_arrays, subset, to_arrays
from fjdl.errors import DataError


def table() -> Source:
    return from_arrays({"x": np.arange(12.0).reshape(6, 2), "label": np.arange(6, dtype=np.int32)})


def test_an_integer_gives_one_example_and_an_array_a_batch():
    source = table()
    assert source.length == 6
    np.testing.assert_array_equal(source.element(2)["x"], [4.0, 5.0])
    assert source.element(np.int64(2))["label"] == 2
    batch = source.element(np.array([[5, 0], [1, 1]]))
    assert batch["x"].shape == (2, 2, 2)
    np.testing.assert_array_equal(batch["label"], [[5, 0], [1, 1]])


def test_every_value_of_one_example_is_an_array_of_the_stored_dtype():
    example = table().element(0)
    assert {name: (type(value), value.dtype) for name, value in example.items()} == {
        "x": (np.ndarray, np.dtype(np.float64)),
        "label": (np.ndarray, np.dtype(np.int32)),
    }


def test_an_example_cannot_change_the_data_set():
    with pytest.raises(ValueError, match="read-only"):
        table().element(0)["x"][0] = 9.0


def test_a_label_beyond_32_bits_never_becomes_another_one_on_the_device():
    source = from_arrays({"x": np.zeros(2), "person": np.array([2**32 + 5, 5])})
    with pytest.raises(DataError, match=r"^the data's 'person' must fit int32, got 4294967301; set jax_enable_x64"):
        to_arrays(source)
    batches = to_device([{"x": np.zeros(2), "person": np.array([-(2**40), 5])}])
    with pytest.raises(
        DataError, match=r"^a batch's \['person'\] must fit int32, got -1099511627776; set jax_enable_x64"
    ):
        next(batches)


def test_to_arrays_inverts_from_arrays():
    arrays = {"image": np.arange(24, dtype=np.uint8).reshape(3, 2, 2, 2), "label": np.array([2, 0, 1])}
    restored = to_arrays(from_arrays(arrays))
    assert restored.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(restored[name], array)


def test_a_subset_of_a_subset_composes():
    inner = subset(subset(table(), np.array([5, 3, 1])), np.array([2, 0]))
    assert inner.length == 2
    np.testing.assert_array_equal(to_arrays(inner)["label"], [1, 5])


def test_a_subset_keeps_its_own_copy_of_the_indices():
    indices = np.array([4, 2])
    source = subset(table(), indices)
    indices[:] = 0
    np.testing.assert_array_equal(to_arrays(source)["label"], [4, 2])


def test_an_empty_subset_has_no_examples():
    source = subset(table(), np.array([], np.int64))
    assert source.length == 0
    assert to_arrays(source)["x"].shape == (0, 2)


def test_an_index_past_the_end_is_refused():
    with pytest.raises(IndexError):
        table().element(6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "arrays must hold at least one array, got none"),
        ({"x": np.zeros(3), "label": np.zeros(4)}, "the 3 rows of 'x', got 4 rows for 'label'"),
        ({"x": np.zeros(3), "label": np.float32(1)}, "leading axis of examples, got a scalar for 'label'"),
    ],
)
def test_arrays_without_one_common_length_are_refused_by_name(arrays, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(arrays)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (np.array([0, 6]), r"\[0, 6\), got 6"),
        (np.array([-1]), r"\[0, 6\), got -1"),
        (np.array([True, False]), r"vector of integers, got bool\[2\]"),
        (np.array([[0]]), r"vector of integers, got int64\[1, 1\]"),
    ],
)
def test_indices_that_name_no_example_are_refused(indices, message):
    with pytest.raises(ValueError, match=message):
        subset(table(), indices)
