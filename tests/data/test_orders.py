import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.data.batches import epoch_indices
from fjdl.data.orders import Order, balanced, buckets, groups, in_order, lanes, repeated, shuffled
from fjdl.errors import UsageError

KEY = jax.random.key(0)


def rows(order: Order, *, length: int, batch_size: int, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    indices, mask = order.rows(KEY, epoch, length=length, batch_size=batch_size)
    assert indices.shape == mask.shape == (order.steps(length, batch_size), batch_size)
    assert (indices.dtype, mask.dtype) == (jnp.int32, jnp.float32)
    return np.asarray(indices), np.asarray(mask)


@pytest.mark.parametrize(
    "order",
    [shuffled, in_order, lanes(3), buckets(range(12), widths=(2, 5, 30), arrays=()), groups([0, 1, 1] * 4, each=1)],
    ids=["shuffled", "in_order", "lanes", "buckets", "groups"],
)
@pytest.mark.parametrize("batch_size", [1, 2, 5, 16])
def test_every_example_counts_once(order: Order, batch_size: int) -> None:
    indices, mask = rows(order, length=12, batch_size=batch_size)
    np.testing.assert_array_equal(np.sort(indices[mask == 1]), np.arange(12))
    assert set(np.unique(mask)) <= {0.0, 1.0}


def test_shuffled_is_the_permutation_of_the_epoch() -> None:
    np.testing.assert_array_equal(
        rows(shuffled, length=9, batch_size=4, epoch=5)[0], epoch_indices(KEY, 5, length=9, batch_size=4)[0]
    )
    assert not shuffled.carries
    assert bool(shuffled.begins(jnp.arange(3), length=9).all())


def test_lanes_are_read_side_by_side_or_some_after_the_others() -> None:
    three = lanes(3)  # lanes 0 1, 2 3 and 4 5
    np.testing.assert_array_equal(rows(three, length=6, batch_size=3)[0], [[0, 2, 4], [1, 3, 5]])
    indices, mask = rows(three, length=6, batch_size=2)
    np.testing.assert_array_equal(indices, [[0, 2], [1, 3], [4, 0], [5, 1]])
    np.testing.assert_array_equal(mask, [[1, 1], [1, 1], [1, 0], [1, 0]])
    np.testing.assert_array_equal(three.begins(indices, length=6), [[1, 1], [0, 0], [1, 1], [0, 0]])
    assert (three.carries, three.at_once(6), lanes(9).at_once(6)) == (True, 3, 6)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_an_example_that_does_not_begin_follows_the_one_in_its_place_of_the_batch_before(batch_size: int) -> None:
    order = lanes(4)
    indices, _ = rows(order, length=20, batch_size=batch_size)
    begins = np.asarray(order.begins(indices, length=20))
    np.testing.assert_array_equal(indices[1:][~begins[1:]], indices[:-1][~begins[1:]] + 1)
    assert begins[0].all()
    assert set(indices[begins].tolist()) == {0, 5, 10, 15}


def test_buckets_put_examples_of_about_the_same_length_together_and_cut_them() -> None:
    lengths = np.array([3, 1, 8, 2, 7, 3, 9, 1])
    order = buckets(lengths, widths=(3, 8, 20), arrays=("tokens",))
    indices, mask = rows(order, length=8, batch_size=2)
    batch = {"tokens": jnp.arange(16).reshape(2, 8), "length": jnp.ones(2)}
    widths = []
    for row, counts in zip(indices, mask, strict=True):
        cut = order.cuts[int(order.kind(row))](batch)
        widths.append(cut["tokens"].shape[1])
        assert lengths[row].max() <= {3: 3, 8: 8}[widths[-1]] or widths[-1] == 8  # 20 cuts nothing of 8
        assert cut["length"] is batch["length"]
        assert counts.any()
    assert sorted(widths) == [3, 3, 3, 8, 8]
    assert not np.array_equal(indices, rows(order, length=8, batch_size=2, epoch=1)[0])
    np.testing.assert_array_equal(indices, rows(order, length=8, batch_size=2)[0])


def test_the_kind_of_a_row_is_the_same_on_host_and_device() -> None:
    order = buckets([5, 1, 4], widths=(1, 5), arrays=())
    for index, kind in ((0, 1), (1, 0), (2, 1)):
        assert order.kind is not None
        assert int(order.kind(np.array([index]))) == int(jax.jit(order.kind)(jnp.array([index]))) == kind


def test_lengths_that_a_function_gives_are_read_once_and_late() -> None:
    asked = []

    def lengths() -> np.ndarray:
        asked.append(1)
        return np.array([3, 1, 8, 2])

    order = buckets(lengths, widths=(3, 8), arrays=())
    assert not asked
    known = buckets([3, 1, 8, 2], widths=(3, 8), arrays=())
    for late, early in zip(rows(order, length=4, batch_size=2), rows(known, length=4, batch_size=2), strict=True):
        np.testing.assert_array_equal(late, early)
    assert order.steps(4, 1) == 4
    assert asked == [1]


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        lanes(0)
    with pytest.raises(UsageError, match="the number of examples must be a multiple of the 4 lanes, got 6"):
        lanes(4).steps(6, 2)
    with pytest.raises(ValueError, match=r"widths must be positive and increase, got \[3, 3\]"):
        buckets([1], widths=(3, 3), arrays=())
    with pytest.raises(ValueError, match=r"widths must be positive and increase, got \[\]"):
        buckets([1], widths=(), arrays=())
    with pytest.raises(UsageError, match="lengths must not exceed the last width, 3, got 4"):
        buckets([4], widths=(3,), arrays=())
    with pytest.raises(UsageError, match="lengths must hold that of each of the 5 examples, got 1"):
        buckets([1], widths=(3,), arrays=()).steps(5, 2)


def test_groups_put_examples_of_a_class_together_and_every_class_has_its_turn_in_each_round() -> None:
    """Seven, four and two examples: rounds of three, two and two groups, of which one is not full."""
    labels = np.array([0, 0, 1, 0, 2, 0, 1, 0, 1, 0, 2, 1, 0])
    order = groups(lambda: labels, each=2)
    indices, mask = rows(order, length=13, batch_size=6)
    assert len(indices) == 3
    np.testing.assert_array_equal(np.sort(indices[mask == 1]), np.arange(13))
    classes = labels[indices].reshape(3, 3, 2)
    np.testing.assert_array_equal(classes[..., 0], classes[..., 1])
    np.testing.assert_array_equal(np.sort(classes[0, :, 0]), [0, 1, 2])
    assert mask.reshape(9, 2)[:, 0].sum() == 7
    other = rows(order, length=13, batch_size=6, epoch=1)[0]
    assert not np.array_equal(indices, other)


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^the batch size must be a multiple of the 2 examples of a group, got 3$"):
        groups([0, 0, 1], each=2).steps(3, 3)
    with pytest.raises(UsageError, match=r"^labels must hold that of each of the 4 examples, got 3$"):
        groups([0, 0, 1], each=2).steps(4, 2)
    with pytest.raises(ValueError, match=r"^each must be at least 1, got 0$"):
        groups([0], each=0)


@pytest.mark.parametrize("order", [shuffled, buckets([1, 2, 3, 4, 5], widths=(2, 5), arrays=())])
def test_repeated_is_one_epoch_behind_the_other(order: Order) -> None:
    indices, mask = rows(repeated(order, 3), length=5, batch_size=2, epoch=2)
    each = [rows(order, length=5, batch_size=2, epoch=epoch) for epoch in (6, 7, 8)]
    np.testing.assert_array_equal(indices, np.concatenate([part for part, _ in each]))
    np.testing.assert_array_equal(mask, np.concatenate([part for _, part in each]))
    with pytest.raises(ValueError, match=r"^order must give examples that do not go on"):
        repeated(lanes(2), 2)


@pytest.mark.parametrize(("sizes", "batch_size"), [((10, 3, 1), 4), ((5, 5), 10), ((7,), 3), ((1, 30, 2, 2), 64)])
def test_balanced_draws_all_classes_equally_often(sizes: tuple[int, ...], batch_size: int) -> None:
    """So often as the data have examples for each class; each batch has nearly equally many of each."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)) * 5, sizes))
    order = balanced(lambda: labels)
    epochs = [rows(order, length=len(labels), batch_size=batch_size, epoch=epoch) for epoch in range(3)]
    for indices, mask in epochs:
        drawn = indices[mask == 1]
        times = -(-len(labels) // len(sizes))
        np.testing.assert_array_equal([np.sum(labels[drawn] == 5 * kind) for kind in range(len(sizes))], times)
        for kind, size in enumerate(sizes):  # none twice before all had their turn
            counts = np.bincount(drawn, minlength=len(labels))[labels == 5 * kind]
            assert counts.max() - counts.min() <= 1
            assert counts.max() == -(-times // size)
        for row in indices[mask.all(axis=1)]:
            held = [np.sum(labels[row] == 5 * kind) for kind in range(len(sizes))]
            assert max(held) - min(held) <= 2
    assert not np.array_equal(epochs[0][0], epochs[1][0]) or sizes == (7,)


def test_balanced_labels_of_other_data_are_refused() -> None:
    with pytest.raises(UsageError, match=r"labels must hold that of each of the 4 examples, got 3"):
        balanced([0, 1, 1]).steps(4, 2)
