"""Hooks get the record of each epoch once it is on the disk; one of them writes for TensorBoard."""

import struct
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from fjdl.errors import UsageError
from fjdl.train.hooks import Record, tensorboard
from fjdl.train.json_files import read_jsonl
from tests.train.runs import saved, train
from tests.train.toy import recipe

RECORD: Record = {"step": 4, "epoch": 1, "train_loss": 0.5, "validation_accuracy": 0.75, "seconds": 2.0, "state": "a"}
SCALARS = {"run/step": 4, "run/epoch": 1, "loss/train": 0.5, "accuracy/validation": 0.75, "run/seconds": 2.0}


def test_a_hook_gets_each_record_when_it_and_the_state_are_on_the_disk(tmp_path: Path) -> None:
    seen: list[Any] = []

    def hook(record: Record) -> None:
        assert float(jnp.asarray(record["train_loss"])) == record["train_loss"]  # it may compute
        seen.append((dict(record), saved(tmp_path), len(read_jsonl(tmp_path / "metrics.jsonl"))))

    train(recipe(epochs=2, hooks=(hook,)), tmp_path)
    assert [(kept[-1], lines) for _, kept, lines in seen] == [(4, 1), (8, 2)]
    metrics, timing = (read_jsonl(tmp_path / f"{name}.jsonl") for name in ("metrics", "timing"))
    assert [record for record, *_ in seen] == [{**told, **took} for told, took in zip(metrics, timing, strict=True)]


def test_a_hook_that_fails_ends_the_training_whose_epoch_stays(tmp_path: Path) -> None:
    def hook(record: Record) -> None:
        raise OSError(f"no room for step {record['step']}")

    with pytest.raises(OSError, match="no room for step 4"):
        train(recipe(epochs=2, hooks=(hook,)), tmp_path)
    assert saved(tmp_path) == [4]
    told: list[Any] = []
    train(recipe(epochs=2, hooks=(lambda record: told.append(record["step"]),)), tmp_path)
    assert told == [8]


def test_tensorboard_reads_what_is_written(tmp_path: Path) -> None:
    proto = pytest.importorskip("tensorboardX.proto.event_pb2", reason="needs the extra tensorboard")
    hook = tensorboard(tmp_path / "events")
    assert not (tmp_path / "events").exists()
    hook(RECORD)
    (path,) = (tmp_path / "events").iterdir()
    assert "tfevents" in path.name
    content, events = path.read_bytes(), []
    while content:  # a record: its length, a checksum of 4 bytes, the event, another checksum
        (length,) = struct.unpack("<Q", content[:8])
        events.append(proto.Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    assert events[0].file_version == "brain.Event:2"
    found = {value.tag: (value.simple_value, event.step) for event in events for value in event.summary.value}
    assert found == {tag: (value, 4) for tag, value in SCALARS.items()}


def test_without_the_extra_it_says_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UsageError, match=r"pip install 'fjdl\[tensorboard\]'"):
        tensorboard(tmp_path)
