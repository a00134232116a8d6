from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.data.source import Splits, from_arrays, to_arrays
from fjdl.errors import UsageError
from fjdl.models import MLP
from fjdl.nn import Model, pure
from fjdl.train.mesh import check_batch, make_mesh, replicated, spread
from fjdl.train.resident import place
from fjdl.train.state import TrainState
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.toy import mesh, noise, program, quick, recipe, source, splits


@cache
def numbered() -> Splits:
    """The usual digits, each with its number."""
    return splits(from_arrays({**to_arrays(source(0, 100)), "number": np.arange(100, dtype=np.float32)}))


def recording(model: Model, parts: int) -> Model:
    """The model with the numbers of the examples that it saw in an epoch, in order, among its statistics."""

    def init(key: Any, inputs: Any) -> tuple[Any, Any]:
        params, _ = model.init(key, inputs["image"])
        return params, {"seen": jnp.zeros((4 * parts, 32 // parts))}

    def apply(params: Any, stats: Any, inputs: Any, *, train: bool, key: Any) -> tuple[Any, Any]:
        outputs, _ = model.apply(params, {}, inputs["image"], train=train, key=key)
        return outputs, {"seen": jnp.concatenate([stats["seen"][1:], inputs["number"][None]])}

    return Model(init, apply)


def trained(count: int, parts: int) -> tuple[TrainState, Any]:
    """The state after an epoch with dropout and augmentation, and its report."""
    made = recipe(
        model=recording(quick(MLP(hidden=(16,), classes=10, dropout=0.3)), parts),
        inputs=lambda batch: {"image": batch["image"], "number": batch["number"]},
        augment=noise,
        accumulate=parts,
        ema=0.9,
    )
    compiled = program(made, count=count, data=numbered())
    return jax.device_get(compiled.epoch(compiled.init(), place(numbered().train, mesh(count))))


@cache
def alone(parts: int) -> tuple[TrainState, Any]:
    return trained(1, parts)


@pytest.mark.parametrize(("count", "parts"), [(2, 1), (8, 1), (4, 2)])
def test_any_number_of_devices_sees_the_same_examples_and_trains_the_same_network(count: int, parts: int) -> None:
    (state, report), (expected, expected_report) = trained(count, parts), alone(parts)
    np.testing.assert_array_equal(state.stats["seen"], expected.stats["seen"])
    assert sorted(state.stats["seen"].ravel()[:100].tolist()) == list(range(100))
    assert_trees_close(state, expected, rtol=1e-5, atol=1e-5)
    assert_trees_close(report, expected_report, rtol=1e-5, atol=1e-5)
    assert np.abs(state.params["logits"]["kernel"] - state.ema["logits"]["kernel"]).max() > 1e-3


def test_any_number_of_devices_starts_from_the_same_bits() -> None:
    made = recipe(model=pure(MLP(hidden=(), classes=10)))
    assert len({digest(program(made, count=count).init()) for count in (1, 2, 4, 8)}) == 1


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
