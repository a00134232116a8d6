from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.augment import each_image, random_shift
from fjdl.data.source import from_arrays
from fjdl.errors import UsageError
from fjdl.models import MLP
from fjdl.nn import Model, functional
from fjdl.train.mesh import check_batch, make_mesh, replicated, spread
from fjdl.train.program import place
from fjdl.train.recipe import Recipe
from fjdl.train.state import TrainState
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.toy import mesh, program, quick, recipe, splits


def trained(made: Recipe, count: int, *, data: Any = None) -> tuple[TrainState, Any]:
    compiled = program(made, count=count, data=data)
    return compiled.epoch(compiled.init(), place((data or made.splits()).train, mesh(count)))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_any_number_of_devices_trains_the_same_network(accumulate: int) -> None:
    made = recipe(
        model=quick(MLP(hidden=(16,), classes=10, dropout=0.3)),
        augment=each_image(partial(random_shift, most=1)),
        accumulate=accumulate,
        ema=0.9,
    )
    alone, report = trained(made, 1)
    for count in (2, 4, 8) if accumulate == 1 else (8,):
        state, other = trained(made, count)
        assert_trees_close(state, jax.device_get(alone), rtol=1e-5, atol=1e-5)
        assert_trees_close(other, jax.device_get(report), rtol=1e-5, atol=1e-5)


def test_any_number_of_devices_starts_from_the_same_bits() -> None:
    made = recipe(model=functional(MLP(hidden=(16,), classes=10)))
    assert len({digest(program(made, count=count).init()) for count in (1, 2, 4, 8)}) == 1


def test_any_number_of_devices_sees_the_same_examples_in_the_same_order() -> None:
    """The network's statistics hold the examples' numbers, batch by batch."""
    model = Model(
        init=lambda key, inputs: ({"w": jnp.zeros(10)}, {"seen": jnp.zeros((4, 32))}),
        apply=lambda params, stats, inputs, *, train, key: (
            jnp.broadcast_to(params["w"][None], (inputs.shape[0], 10)),
            {"seen": jnp.concatenate([stats["seen"][1:], inputs[None]])},
        ),
    )
    data = splits(from_arrays({"id": np.arange(100, dtype=np.float32), "label": np.zeros(100, np.int32)}))
    made = recipe(model=model, inputs=lambda batch: batch["id"])
    seen = [np.asarray(trained(made, count, data=data)[0].stats["seen"]) for count in (1, 2, 8)]
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])
    assert sorted(seen[0].ravel()[:100].tolist()) == list(range(100))


def test_a_batch_that_the_devices_cannot_share_is_refused() -> None:
    message = r"the micro-batch \(batch_size / accumulate\) must be a multiple of the 8 devices, got "
    with pytest.raises(UsageError, match=f"^{message}12$") as error:
        program(recipe(batch_size=12), count=8)
    assert error.value.exit_status == 2
    with pytest.raises(UsageError, match=f"^{message}4$"):
        program(recipe(batch_size=32, accumulate=8), count=8)
    check_batch(32, mesh(8))
    check_batch(7, mesh(1))


def test_the_mesh_has_all_local_devices_unless_given() -> None:
    assert make_mesh().devices.tolist() == jax.local_devices()
    assert mesh(3).devices.tolist() == jax.local_devices()[:3]
    assert make_mesh().axis_names == ("data",)


def test_the_state_is_whole_on_every_device() -> None:
    for leaf in jax.tree.leaves(program(recipe(), count=8).init()):
        assert leaf.sharding.is_equivalent_to(replicated(mesh(8)), leaf.ndim)
        assert len(leaf.addressable_shards) == 8


@pytest.mark.parametrize(("axis", "part"), [(0, (2, 4)), (1, (16, 1))])
def test_spread_gives_each_device_its_part_along_the_axis(axis: int, part: tuple[int, int]) -> None:
    x = jnp.arange(64).reshape(16, 4)
    there = mesh(8 if axis == 0 else 4)
    y = jax.jit(lambda x: spread({"x": x}, there, axis=axis))(x)["x"]
    assert {shard.data.shape for shard in y.addressable_shards} == {part}
    np.testing.assert_array_equal(y, x)
