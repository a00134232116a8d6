"""The networks of Flax are those of the configs: the same number of parameters and outputs, and a step that traces."""

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from experiments.command import describe, load_config
from experiments.compiled.programs import read, resident
from experiments.compiled.twins import TWINS, call_of, start, twin_of
from fjdl.data.blank import blank_data
from fjdl.errors import UsageError
from fjdl.train.mesh import make_mesh, replicated
from fjdl.train.prepare import Prepared, prepare, training_call
from fjdl.tree import count
from tests.support import ROOT

OPTIONS: dict[str, dict[str, Any]] = {"imagenet_resnet50": {"size": 32}}
LARGE = ("imagenet_resnet50",)  # at night


def arguments_of(path: Path, **given: Any) -> dict[str, Any]:
    defaults = {name: value.default for name, value in inspect.signature(load_config(path)).parameters.items()}
    return describe(path, {**defaults, **given})["arguments"]


def prepared(name: str, devices: list[Any], **given: Any) -> Prepared:
    with blank_data(always=True):
        recipe = load_config(ROOT / "configs" / f"{name}.py")(**given)
        return prepare(dataclasses.replace(recipe, augment=None), devices=devices)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in sorted(TWINS)]
)
def test_a_twin_has_the_parameters_of_its_config(name: str) -> None:
    path, given = ROOT / "configs" / f"{name}.py", OPTIONS.get(name, {})
    ours = prepared(name, jax.devices()[:4], precision="bfloat16", **given)
    twin = twin_of(name, arguments_of(path, **given), jnp.bfloat16)
    call = call_of(twin, ours)
    state, batch = call.arguments
    assert count(state.params) == count(jax.eval_shape(ours.program.init).params)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}
    assert batch["label"].shape == (ours.recipe.batch_size,)


def test_a_config_without_a_twin_says_so() -> None:
    with pytest.raises(UsageError, match=r"cifar10_fast has no twin in Flax, those that have are .*iris_mlp"):
        twin_of("cifar10_fast", {}, jnp.bfloat16)


@pytest.mark.by_day_on_pin(1)
def test_a_twin_learns_and_what_it_compiles_to_is_read_on_any_platform() -> None:
    ours = prepared("iris_mlp", jax.devices()[:1])
    twin = twin_of("iris_mlp", arguments_of(ROOT / "configs" / "iris_mlp.py"), jnp.float32)
    call = call_of(twin, ours)
    batch = {name: jnp.asarray(array) for name, array in ours.splits.train.element(jnp.arange(16)).items()}
    compiled = call.function.lower(*call.arguments).compile()
    state = jax.device_put(start(twin, ours.recipe.inputs, jnp.float32, batch), replicated(ours.mesh))
    losses = []
    for _ in range(30):
        state, loss = compiled(state, batch)
        losses.append(float(loss))
    assert losses[-1] < losses[0]

    epoch = training_call(ours)
    program = epoch.function.lower(*epoch.arguments).compile()
    facts = read(program, part="training", steps=7, batch=16, precision="float32", seconds=0.0, devices=1)
    assert facts.flops > 6 * 16 * (4 * 16 + 16 * 3)
    assert facts.memory.arguments > 0
    assert (facts.cycles, facts.collectives) == (0, ())  # no other compiler names cycles


def test_the_mesh_of_the_twin_is_that_of_the_config() -> None:
    ours = prepared("iris_logistic", jax.devices()[:4])
    call = call_of(twin_of("iris_logistic", {"weight_decay": 1e-3}, jnp.float32), ours)
    assert call.arguments[1]["features"].sharding.mesh == make_mesh(jax.devices()[:4])


@pytest.mark.by_day_on_pin(1)
def test_the_parts_of_a_step_have_names_in_its_program() -> None:
    with blank_data(always=True):
        ours = prepare(load_config(ROOT / "configs" / "digits_lenet.py")(), devices=jax.devices()[:1])
    epoch = training_call(ours)
    text = epoch.function.lower(*epoch.arguments).as_text(debug_info=True)
    names = set(re.findall(r'"([^"]*)"', text))
    for part in ("inputs/", "augment/", "jvp(inputs)/", "jvp(loss)/", "transpose(jvp(loss))/", "guard/", "optimizer/"):
        assert any(name.startswith(part) or f"/{part}" in name for name in names), part


def test_the_data_that_lie_on_a_device_are_known_by_their_size() -> None:
    parted = dataclasses.replace(prepared("digits_lenet", jax.devices()[:4]).recipe, resident="sharded")
    with blank_data(always=True):
        ours = prepare(parted, devices=jax.devices()[:4])
    assert resident(training_call(ours)) == (("u8", 292 * 64), ("s32", 292))  # a quarter of 1,168 images
    assert resident(training_call(ours, single=True)) == ()
