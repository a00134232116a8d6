"""Data on the devices: a copy on each or a part on each, the same batches in the same order, bit for bit."""

import dataclasses
import re
from functools import cache
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.data.orders import shuffled
from fjdl.data.source import Source, from_arrays, to_arrays
from fjdl.errors import UsageError
from fjdl.models import MLP
from fjdl.train import fit, resident, whole_training
from fjdl.train.resident import Resident, abstract, batch_of, first_of, length_of, place
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.toy import devices, mesh, noise, program, quick, recipe, splits

COUNT = 13


@cache
def kinds() -> Source:
    """Examples of every shape and dtype, among whose numbers are NaN, both infinities and −0."""
    rng = np.random.default_rng(0)
    floats = rng.standard_normal((COUNT, 2, 3)).astype(np.float32)
    floats.ravel()[:4] = [np.nan, np.inf, -np.inf, -0.0]
    return from_arrays(
        {
            "image": rng.integers(0, 256, (COUNT, 4, 5, 3), dtype=np.uint8),
            "label": np.arange(COUNT, dtype=np.int32) - 5,
            "table": floats[:, 0],
            "small": floats.astype(jnp.bfloat16),
            "field": floats,
            "known": rng.uniform(size=(COUNT, 3)) < 0.5,
            "nothing": np.zeros((COUNT, 0), np.float32),
        }
    )


ORDER = np.random.default_rng(1).permutation(COUNT)[:8].astype(np.int32)
ROW = (jnp.asarray(ORDER), jnp.ones(8))


def bits(tree: Any) -> str:
    return digest(jax.device_get(tree))


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("way", ["replicated", "sharded"])
def test_a_batch_is_its_examples_bit_for_bit(way: Any, count: int) -> None:
    placed = place(kinds(), mesh(count), resident=way)
    batch = jax.jit(lambda placed: batch_of(placed, ROW, mesh(count), order=shuffled, epoch=3))(placed)
    expected = dict(kinds().element(ORDER))
    assert bits({name: batch[name] for name in expected}) == bits(expected)
    np.testing.assert_array_equal(batch["index"], ORDER)
    parts = [shard.data.shape for shard in batch["image"].addressable_shards]
    assert parts == [(8 // count, 4, 5, 3)] * count
    assert (length_of(placed), placed.sharded) == (COUNT, way == "sharded" and count > 1)
    for name, array in kinds().element(0).items():
        np.testing.assert_array_equal(np.asarray(first_of(placed)[name], np.float32), np.asarray(array, np.float32))


def test_each_device_holds_its_part_and_no_collective_carries_more_than_a_batch() -> None:
    placed = place(kinds(), mesh(8), resident="sharded")
    for array in placed.rows.values():
        assert array.shape[0] == 16
        assert {shard.data.shape[0] for shard in array.addressable_shards} == {2}
    compiled = jax.jit(lambda placed: batch_of(placed, ROW, mesh(8), order=shuffled)).lower(placed).compile()
    found = r"= \(?\w+\[([\d,]*)\][^=]*? (all-\w+|reduce-scatter|collective-\w+)\("
    collectives = re.findall(found, str(compiled.as_text()))
    assert collectives
    assert {int(shape.partition(",")[0]) for shape, _ in collectives} <= {1, 8}


def test_what_is_placed_is_known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[Any] = [("replicated", 0), ("sharded", 10**9), ("auto", 10), ("auto", 10**9)]
    for way, limit in ways:
        monkeypatch.setattr(resident, "COPIED", limit)
        plan, placed = abstract(kinds(), mesh(4), resident=way), place(kinds(), mesh(4), resident=way)
        assert placed.sharded == (limit == 10 or way == "sharded")
        assert jax.tree.structure(plan) == jax.tree.structure(placed)
        for name, array in placed.rows.items():
            assert (array.shape, array.dtype) == (plan.rows[name].shape, plan.rows[name].dtype)
            assert array.sharding.is_equivalent_to(plan.rows[name].sharding, array.ndim)


def test_long_rows_fill_whole_registers_on_tpus() -> None:
    """Those of MNIST, CIFAR-10 and ImageNet; scalars, tables and small images stay as they are."""
    images = {"mnist": (28, 28, 1), "cifar": (32, 32, 3), "small": (8, 8, 1), "table": (30,), "label": ()}
    widths = {"mnist": (896,), "cifar": (3072,), "small": (64,), "table": (30,), "label": ()}
    for platform, expected in (("tpu", widths), ("cpu", {**widths, "mnist": (784,)})):
        there: Any = SimpleNamespace(size=1, devices=np.array([SimpleNamespace(platform=platform)]))
        assert {name: resident.width(shape, there) for name, shape in images.items()} == expected
    rows = np.arange(2 * 896, dtype=np.int32).reshape(2, 896)
    padded = Resident({"image": jnp.asarray(rows)}, (("image", (28, 28, 1)),), length=2, sharded=False)
    batch = batch_of(padded, (jnp.array([1, 0]), jnp.ones(2)), mesh(), order=shuffled)
    np.testing.assert_array_equal(batch["image"], rows[::-1, :784].reshape(2, 28, 28, 1))


@pytest.mark.by_day_on_pin(0)
def test_training_on_parts_is_training_on_copies() -> None:
    """100 examples on 8 devices, 13 on each of the first seven; batches of 32, the last of 4."""
    made = recipe(model=quick(MLP(hidden=(16,), classes=10, dropout=0.3)), augment=noise)
    compiled = program(made, count=8)

    def run(way: Any) -> Any:
        train, validation = (place(part, mesh(8), resident=way) for part in (splits().train, splits().validation))
        state, report = compiled.epoch(compiled.init(), train)
        return state, report, compiled.evaluate(state, validation)

    assert bits(run("sharded")) == bits(run("replicated"))


@pytest.mark.by_day_on_pin(1)
def test_a_recipe_says_where_its_data_lie(tmp_path: Any) -> None:
    made = recipe(epochs=1, batch_size=32)
    states = [
        fit(dataclasses.replace(made, resident=way), tmp_path / way, devices=devices(4)) for way in ("auto", "sharded")
    ]
    assert bits(states[0]) == bits(states[1])
    with pytest.raises(UsageError, match=r"^resident must be one of \['auto', 'replicated', 'sharded'\], got 'split'$"):
        dataclasses.replace(made, resident="split")  # type: ignore[arg-type]


@pytest.mark.by_day_on_pin(1)
def test_arrays_of_the_user_train_as_those_that_are_placed() -> None:
    made, given = recipe(epochs=1), {name: jnp.asarray(x) for name, x in to_arrays(splits().train).items()}
    run = jax.jit(lambda data: whole_training(made, data, end=data, mesh=mesh()))
    assert_trees_close(run(given), run(place(splits().train, mesh())), rtol=1e-6, atol=1e-7)
