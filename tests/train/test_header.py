"""What is said before a training."""

import dataclasses
from typing import Any

import pytest

from fjdl.models import MLP
from fjdl.train.header import header, lines
from fjdl.train.prepare import prepare
from fjdl.train.pretrained import Pretrained
from tests.train.toy import devices, quick, recipe, splits


@pytest.mark.parametrize(
    ("count", "changes", "batch"),
    [
        (1, {}, "cpu, 1 x cpu; batches of 32, 32 a device"),
        (4, {"accumulate": 2, "precision": "bfloat16"}, "cpu, 4 x cpu; batches of 32 in 2 parts, 4 a device"),
    ],
)
def test_data_model_training_and_devices_are_named(count: int, changes: dict[str, Any], batch: str) -> None:
    made = prepare(recipe(model=quick(MLP(hidden=(16,), classes=10)), **changes), devices=devices(count))
    told = dict(header(made))
    where = "26 kB on the device" if count == 1 else "26 kB on each device"
    assert told == {
        "data": f"some digits: 100 train, 60 validation, 50 test; {where}",
        "model": f"{64 * 16 + 16 + 16 * 10 + 10:,} parameters, {made.recipe.precision}",
        "training": "3 epochs of 4 steps, seed 0",
        "devices": batch,
    }


def test_data_in_parts_are_said_to_be() -> None:
    made = prepare(recipe(resident="sharded"), devices=devices(4))
    assert dict(header(made))["data"].endswith("; 26 kB in 4 parts on the devices")


def test_streamed_data_are_said_to_be() -> None:
    data = dataclasses.replace(splits(), train=splits().train._replace(streamed=True))
    assert dict(header(prepare(recipe(splits=lambda: data), devices=devices())))["data"].endswith("; streamed")


def test_what_is_left_out_is_counted_and_the_first_is_told() -> None:
    data = dataclasses.replace(splits(), left_out=("a.png is empty", "b.png is a folder"))
    told = dict(header(prepare(recipe(splits=lambda: data), devices=devices())))
    assert told["left out"] == "2, in data/left_out.txt of the run; the first: a.png is empty"


def test_names_and_values_are_aligned() -> None:
    assert lines([("run", "a"), ("devices", "b")]) == "run      a\ndevices  b"


def test_what_a_run_begins_with_and_how_much_of_it_learns_are_told() -> None:
    made = recipe(
        model=quick(MLP(hidden=(16,), classes=10)),
        pretrained=Pretrained(path="runs/base", fresh=("logits/.*",)),
        freeze="hidden.*",
    )
    told = dict(header(prepare(made, devices=devices())))
    assert told["begins with"] == "runs/base; logits/.* drawn"
    assert told["learns"] == "170 parameters, the others are frozen"
    plain = dict(header(prepare(recipe(pretrained="runs/base"), devices=devices())))
    assert plain["begins with"] == "runs/base"
    assert "learns" not in plain
