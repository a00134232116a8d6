"""Parameters that devices share: the same training as with copies, in a fraction of their bytes."""

import re
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from fjdl.data.source import from_arrays
from fjdl.errors import UsageError
from fjdl.models import MLP, resnet18
from fjdl.nn import pure
from fjdl.optim import adam
from fjdl.train.layout import Layout, fully_sharded, shardings, shardings_beside, split
from fjdl.train.mesh import make_mesh, ways
from fjdl.train.prepare import prepare, training_call
from fjdl.train.resident import place
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.toy import devices, quick, recipe, splits

COLUMNS = Layout(
    axes={"data": -1, "model": 2},
    rules=(("hidden.*/kernel", P(None, "model")), ("hidden.*/bias", P("model")), (".*", split("data", smallest=1))),
)


def made(layout: Layout, **changes: Any) -> Any:
    return recipe(
        layout=layout,
        model=quick(MLP(hidden=(16,), classes=10)),
        optimizer=lambda steps: adam(0.01),
        ema=0.9,
        **changes,
    )


def trained(layout: Layout, count: int, **changes: Any) -> Any:
    there = prepare(made(layout, **changes), devices=devices(count))
    arrays = place(there.splits.train, there.mesh)
    state, report = there.program.epoch(there.program.init(), arrays)
    results = there.program.evaluate(state, arrays)
    return jax.device_get((state, report, results))


@cache
def trained_alone() -> Any:
    """What one device trains, which every layout is compared with."""
    return trained(Layout(), 1, accumulate=2)


@pytest.mark.parametrize("layout", [fully_sharded(smallest=1), COLUMNS], ids=["fully sharded", "columns"])
def test_a_layout_changes_no_result(layout: Layout) -> None:
    assert_trees_close(trained(layout, 8, accumulate=2), trained_alone(), rtol=1e-4, atol=1e-4)


def test_the_state_is_born_in_parts_with_the_same_bits() -> None:
    layout = fully_sharded(smallest=1)
    drawn = {"model": pure(MLP(hidden=(16,), classes=10))}
    parts, whole = (prepare(recipe(layout=each, **drawn), devices=devices(8)) for each in (layout, Layout()))
    state = parts.program.init()
    kernel = state.params["hidden1"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(8, 16)}
    assert digest(state) == digest(whole.program.init())


def bytes_of_the_state(layout: Layout, count: int, *, data: Any = None, **changes: Any) -> tuple[int, int]:
    """Of a compiled step on each device: the arguments, which are state and batch, and the temporaries."""
    chosen = recipe(layout=layout, optimizer=lambda steps: adam(0.01), splits=lambda: data or splits(), **changes)
    there = prepare(chosen, devices=devices(count))
    call = training_call(there, single=True)
    memory = call.function.lower(*call.arguments).compile().memory_analysis()
    return memory.argument_size_in_bytes, memory.temp_size_in_bytes


@pytest.mark.by_day_on_pin(1)
def test_eight_devices_hold_an_eighth_of_parameters_and_moments() -> None:
    model = quick(MLP(hidden=(512,), classes=10))
    alone, _ = bytes_of_the_state(Layout(), 1, model=model)
    each, _ = bytes_of_the_state(fully_sharded(), 8, model=model)
    assert each / alone < 0.15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "shape"), [(resnet18(classes=10), (32, 32, 3)), (MLP(hidden=(3000, 2540), classes=10), (28, 28, 1))]
)
def test_so_they_do_of_networks_of_ten_million_parameters(network: Any, shape: tuple[int, ...]) -> None:
    images = np.zeros((64, *shape), np.uint8)
    data = from_arrays({"image": images, "label": np.zeros(64, np.int32)})
    changes = {"model": pure(network), "inputs": lambda batch: batch["image"] / 255, "data": splits(data)}
    (alone, _), (each, _) = (bytes_of_the_state(*case, **changes) for case in ((Layout(), 1), (fully_sharded(), 8)))
    assert each / alone < 0.15


def test_axes_of_the_mesh_fit_the_devices() -> None:
    mesh = make_mesh(devices(8), axes={"replica": 2, "data": -1, "model": 2})
    assert dict(mesh.shape) == {"replica": 2, "data": 2, "model": 2}
    assert ways(mesh) == 4


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"data": 3}, "the mesh must have a place for each of the 8 devices, got {'data': 3}"),
        ({"data": -1, "model": 3}, "the mesh must have a place for each of the 8 devices, got"),
        ({"data": -1, "model": -1}, "sizes of axes must be at least 1, and one may be -1, got"),
        ({"data": 0}, "sizes of axes must be at least 1, and one may be -1, got {'data': 0}"),
        ({"model": 8}, "axes of a mesh must be 'data' and others of ['replica', 'data', 'model'], got ['model']"),
        ({"data": 4, "rows": 2}, "axes of a mesh must be 'data' and others of ['replica', 'data', 'model'], got"),
    ],
)
def test_axes_that_do_not_fit_are_refused(axes: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        make_mesh(devices(8), axes=axes)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((("hidden.*/.*", P()),), r"the layout does not fit the parameters: every leaf must match a rule of .*logits"),
        ((("hiden.*", P()), (".*", P("data"))), r"every rule must match a leaf, but \['hiden.\*'\] match none of"),
        (((".*", P("rows")),), r"must name axes of the mesh \['data'\], each once, got P\('rows'"),
        (((".*kernel", P("data", "data")), (".*", P())), "must name axes of the mesh"),
        (((".*", P(None, "data")),), "hidden1/bias must have at most 1 entries, as its shape has, got"),
        (((".*", P("data")),), r"logits/bias of shape \(10,\) cannot be shared by the 8 devices of"),
    ],
)
def test_rules_that_do_not_fit_are_refused(rules: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepare(made(Layout(rules=rules)), devices=devices(8))


def test_a_batch_that_the_mesh_does_not_divide_is_refused() -> None:
    layout = Layout(axes={"replica": 2, "data": 2, "model": 2})
    assert prepare(made(layout, batch_size=36), devices=devices(8)).mesh.size == 8
    with pytest.raises(UsageError, match="must be a multiple of the 4 parts of a batch on this mesh, got 30"):
        prepare(made(layout, batch_size=30), devices=devices(8))


def test_a_split_takes_the_largest_dimension_that_divides() -> None:
    mesh = make_mesh(devices(8))
    assert split("data", smallest=1)((16, 24, 9), mesh) == P(None, "data")
    assert split("data", smallest=1)((8, 8), mesh) == P(None, "data")
    assert split("data", smallest=1)((9, 7), mesh) == P()
    assert split("data")((1023,), mesh) == split("data")((16, 8), mesh) == P()


def test_what_goes_with_a_parameter_lives_with_it() -> None:
    mesh, layout = make_mesh(devices(8)), fully_sharded(smallest=1)
    params = {"a": {"kernel": jnp.zeros((16, 3))}, "kernel": jnp.zeros((3, 8)), "b": jnp.zeros(3)}
    other = {"mu": params, "rows": {"a": {"kernel": np.zeros(16)}, "kernel": np.zeros(3)}, "count": np.zeros(())}
    found = jax.tree.map(lambda home: home.spec, shardings_beside(layout, mesh, params, other))
    assert found["mu"] == jax.tree.map(lambda home: home.spec, shardings(layout, mesh, params))
    assert found["mu"] == {"a": {"kernel": P("data")}, "kernel": P(None, "data"), "b": P()}
    assert found["rows"] == {"a": {"kernel": P("data")}, "kernel": P()}
    assert found["count"] == P()
