from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fjdl.data.batches import batch_indices, epoch_indices, sequential_indices, steps_per_epoch, take
from tests.support import count_traces, float64

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("length", "batch_size", "steps"), [(10, 5, 2), (11, 5, 3), (1, 1, 1), (3, 8, 1), (60_000, 128, 469)]
)
def test_steps_per_epoch_rounds_up(length, batch_size, steps):
    assert steps_per_epoch(length, batch_size) == steps


@pytest.mark.by_day_on_pin(0)
@settings(max_examples=20, deadline=None)
@given(length=st.integers(1, 40), batch_size=st.integers(1, 50), epoch=st.integers(0, 2**31 - 1))
def test_an_epoch_holds_every_example_exactly_once(length, batch_size, epoch):
    indices, mask = map(np.asarray, epoch_indices(KEY, epoch, length=length, batch_size=batch_size))
    assert indices.shape == mask.shape == (-(-length // batch_size), batch_size)
    assert (indices.dtype, mask.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(np.sort(indices[mask == 1]), np.arange(length))
    rest = indices.size - length
    np.testing.assert_array_equal(indices[mask == 0], np.resize(indices[mask == 1], length + rest)[length:])
    assert set(np.unique(mask)) <= {0.0, 1.0}
    np.testing.assert_array_equal(mask.reshape(-1), np.arange(mask.size) < length)


def test_the_order_is_jaxs_permutation_of_the_folded_key():
    indices, _ = epoch_indices(KEY, 3, length=20, batch_size=5)
    expected = jax.random.permutation(jax.random.fold_in(KEY, 3), 20)
    np.testing.assert_array_equal(indices.reshape(-1), expected)


def test_key_and_epoch_decide_the_order_and_nothing_else():
    def order(seed, epoch):
        return np.asarray(epoch_indices(jax.random.key(seed), epoch, length=64, batch_size=16)[0])

    np.testing.assert_array_equal(order(0, 1), order(0, 1))
    assert not np.array_equal(order(0, 1), order(0, 2))
    assert not np.array_equal(order(0, 1), order(1, 1))


@pytest.mark.parametrize("batch_size", [4, 5, 40])
def test_each_global_step_is_bitwise_its_row_of_the_epoch(batch_size):
    options = {"length": 18, "batch_size": batch_size}
    steps = steps_per_epoch(**options)
    one = jax.jit(partial(batch_indices, **options))
    for step in range(3 * steps):
        rows, masks = epoch_indices(KEY, step // steps, **options)
        for indices, mask in (one(KEY, jnp.int32(step)), batch_indices(KEY, step, **options)):
            np.testing.assert_array_equal(indices, rows[step % steps])
            np.testing.assert_array_equal(mask, masks[step % steps])


def test_a_traced_epoch_compiles_once_and_equals_the_eager_result():
    run, traces = count_traces(partial(epoch_indices, length=17, batch_size=4))
    for epoch in range(3):
        indices, mask = run(KEY, jnp.int32(epoch))
        eager = epoch_indices(KEY, epoch, length=17, batch_size=4)
        np.testing.assert_array_equal(indices, eager[0])
        np.testing.assert_array_equal(mask, eager[1])
    assert len(traces) == 1


def test_the_step_may_come_from_a_scan():
    options = {"length": 7, "batch_size": 3}
    _, (indices, _) = jax.lax.scan(lambda c, step: (c, batch_indices(KEY, step, **options)), None, jnp.arange(3))
    np.testing.assert_array_equal(indices, epoch_indices(KEY, 0, **options)[0])


def test_double_precision_and_strict_promotion_change_nothing():
    expected = epoch_indices(KEY, 1, length=30, batch_size=8)
    with float64(), jax.numpy_dtype_promotion("strict"):
        indices, mask = batch_indices(KEY, jnp.int32(5), length=30, batch_size=8)
        assert (indices.dtype, mask.dtype) == (jnp.int32, jnp.float32)
        np.testing.assert_array_equal(indices, expected[0][1])


def test_sequential_batches_keep_the_order_and_fill_the_last_row():
    indices, mask = sequential_indices(length=5, batch_size=3)
    np.testing.assert_array_equal(indices, [[0, 1, 2], [3, 4, 0]])
    np.testing.assert_array_equal(mask, [[1, 1, 1], [1, 1, 0]])


@pytest.mark.parametrize(
    "indices",
    [
        partial(epoch_indices, KEY, 0),
        partial(batch_indices, KEY, 0),
        sequential_indices,
        lambda *, length, batch_size: steps_per_epoch(length, batch_size),
    ],
)
@pytest.mark.parametrize(
    ("length", "batch_size", "message"),
    [
        (0, 1, "length must be at least 1, got 0"),
        (-3, 1, "length must be at least 1, got -3"),
        (1, 0, "batch_size must be at least 1, got 0"),
        (4, -2, "batch_size must be at least 1, got -2"),
    ],
)
def test_nothing_to_batch_is_refused(indices, length, batch_size, message):
    with pytest.raises(ValueError, match=message):
        indices(length=length, batch_size=batch_size)


def test_take_gathers_the_rows_of_every_array():
    arrays = {"image": np.arange(24, dtype=np.uint8).reshape(4, 3, 2), "label": np.arange(4, dtype=np.int32)}
    batch = jax.jit(take)(arrays, jnp.array([[3, 0], [1, 1]]))
    np.testing.assert_array_equal(batch["image"], arrays["image"][[[3, 0], [1, 1]]])
    np.testing.assert_array_equal(batch["label"], [[3, 0], [1, 1]])
    assert {name: value.dtype for name, value in batch.items()} == {"image": np.uint8, "label": np.int32}


def test_take_never_returns_another_row_for_an_index_past_the_end():
    batch = take({"x": jnp.ones(3), "label": jnp.arange(3)}, jnp.array([3]))
    assert np.isnan(batch["x"][0])
    assert batch["label"][0] == np.iinfo(np.int32).min
