"""Streamed batches against the rows that resident training takes."""

import multiprocessing
import os
import signal
import threading
import time
from contextlib import closing

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fjdl.data.batches import batch_indices
from fjdl.data.loading import load_batches, load_batches_in_order, to_device
from fjdl.data.source import Source, from_arrays
from fjdl.errors import DataError
from fjdl.train.mesh import make_mesh

LENGTH, SIZE = 10, 4  # three steps an epoch, the last with a mask
SOURCE = from_arrays({"x": np.arange(LENGTH) * 10, "label": np.arange(LENGTH, dtype=np.int32)})


def key() -> jax.Array:
    return jax.random.key(3)


def assert_equal(one, other) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_a_batch_is_what_resident_training_takes_at_its_step():
    batches = list(load_batches(key(), SOURCE, batch_size=SIZE, stop=7))
    for step, batch in enumerate(batches):
        indices, mask = batch_indices(key(), step, length=LENGTH, batch_size=SIZE)
        np.testing.assert_array_equal(batch["x"], np.asarray(indices) * 10)
        np.testing.assert_array_equal(batch["label"], indices)
        np.testing.assert_array_equal(batch["example_mask"], mask)
    assert len(batches) == 7
    seen = np.concatenate([batch["label"][batch["example_mask"] > 0] for batch in batches[:3]])
    np.testing.assert_array_equal(np.sort(seen), np.arange(LENGTH))


@pytest.mark.parametrize("start", [0, 2, 3, 5, 7])
@pytest.mark.parametrize("ahead", [1, 8])
def test_a_resumed_stream_goes_on_with_the_same_batches(start, ahead):
    whole = list(load_batches(key(), SOURCE, batch_size=SIZE, stop=7))
    assert_equal(list(load_batches(key(), SOURCE, batch_size=SIZE, start=start, stop=7, ahead=ahead)), whole[start:])


def test_raw_keys_of_another_kind_keep_their_kind():
    other = jax.random.key(3, impl="rbg")
    (batch,) = load_batches(other, SOURCE, batch_size=SIZE, stop=1)
    np.testing.assert_array_equal(batch["label"], batch_indices(other, 0, length=LENGTH, batch_size=SIZE)[0])


def test_evaluation_takes_every_example_once_in_order():
    batches = list(load_batches_in_order(SOURCE, batch_size=SIZE))
    seen = np.concatenate([batch["label"][batch["example_mask"] > 0] for batch in batches])
    np.testing.assert_array_equal(seen, np.arange(LENGTH))
    assert [batch["x"].shape for batch in batches] == [(SIZE,)] * 3


def element(index):
    if np.any(np.asarray(index) == 5):
        raise DataError("image 5 must be readable, got nothing")
    return {"x": np.asarray(index)}


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_damaged_example_raises_at_its_step_and_not_before(workers):
    batches = load_batches_in_order(Source(LENGTH, element), batch_size=2, workers=workers)
    np.testing.assert_array_equal([next(batches)["x"], next(batches)["x"]], [[0, 1], [2, 3]])
    with pytest.raises(DataError, match=r"^image 5 must be readable, got nothing$"):
        next(batches)


def test_batches_are_made_ahead_and_at_the_same_time():
    meeting = threading.Barrier(3, timeout=30)

    def wait(index):
        meeting.wait()
        return {"x": np.asarray(index)}

    assert len(list(load_batches_in_order(Source(6, wait), batch_size=1, ahead=3))) == 6


def test_a_stream_that_is_dropped_leaves_no_thread_that_reads():
    reads = []

    def count(index):
        reads.append(index)
        return {"x": np.asarray(index)}

    batches = load_batches_in_order(Source(1000, count), batch_size=1, ahead=2)
    next(batches)
    batches.close()
    time.sleep(0.05)
    assert len(reads) < 20


@pytest.mark.slow
def test_worker_processes_give_the_same_batches():
    whole = list(load_batches(key(), SOURCE, batch_size=SIZE, stop=7))
    with closing(load_batches(key(), SOURCE, batch_size=SIZE, start=1, stop=7, ahead=2, workers=2)) as batches:
        first = next(batches)
        for worker in multiprocessing.active_children():  # as a terminal does, which the main process answers
            os.kill(worker.pid, signal.SIGINT)
            os.kill(worker.pid, signal.SIGHUP)
        assert_equal([first, *batches], whole[1:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 3, "stop": 2}, r"start must lie in \[0, 2\], got 3"),
        ({"start": -1, "stop": 2}, r"start must lie in \[0, 2\], got -1"),
        ({"stop": 2, "ahead": 0}, "ahead must be at least 1, got 0"),
        ({"stop": 2, "workers": -1}, "workers must not be negative, got -1"),
        ({"stop": 2, "batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_options_without_meaning_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        load_batches(key(), SOURCE, **{"batch_size": SIZE, **options})


def test_batches_reach_the_device_in_order_and_ahead_of_their_use():
    taken = []

    def batches():
        for number in range(5):
            taken.append(number)
            yield {"x": np.full(2, number)}

    given = to_device(batches())
    with jax.transfer_guard("disallow"):
        first = next(given)
    assert isinstance(first["x"], jax.Array)
    assert taken == [0, 1, 2]
    assert [int(batch["x"][0]) for batch in (first, *given)] == [0, 1, 2, 3, 4]
    assert list(to_device([])) == []
    with pytest.raises(ValueError, match="ahead must be at least 1, got 0"):
        to_device([], ahead=0)


def test_batches_are_spread_over_the_devices():
    sharding = NamedSharding(make_mesh(), PartitionSpec("data"))
    (batch,) = to_device([{"x": np.arange(16)}], sharding=sharding)
    assert batch["x"].sharding == sharding
    np.testing.assert_array_equal(batch["x"], np.arange(16))


@pytest.mark.parametrize("spread", [False, True], ids=["one device", "sharded"])
def test_a_loader_may_refill_its_arrays(spread):
    """Aligned memory, which XLA:CPU adopts in place of copying it."""
    memory = np.zeros(4096, np.uint8)
    start = -memory.ctypes.data % 64
    buffer = memory[start : start + 64].view(np.float32)

    def batches():
        for number in range(6):
            buffer[:] = number
            yield {"x": buffer, "rest": (buffer[:8],)}

    sharding = NamedSharding(make_mesh(), PartitionSpec("data")) if spread else None
    given = list(to_device(batches(), sharding=sharding))
    np.testing.assert_array_equal([np.unique(batch["x"]).item() for batch in given], np.arange(6))
    np.testing.assert_array_equal([np.unique(batch["rest"][0]).item() for batch in given], np.arange(6))
