"""A run that is stopped on some devices goes on with others, as if nothing had happened."""

import os
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.errors import Stopped
from fjdl.models import MLP
from fjdl.nn import Model
from fjdl.train import loop
from fjdl.train.json_files import read_jsonl
from fjdl.train.layout import fully_sharded
from fjdl.train.loop import fit_prepared
from fjdl.train.pace import Pace
from fjdl.train.prepare import Prepared, prepare
from fjdl.train.rundir import locked
from fjdl.train.state import TrainState
from tests.train.toy import devices, quick, recipe

BATCH, EPOCH, EPOCHS = 32, 4, 3  # examples of a step, steps of an epoch


def remembering(model: Model) -> Model:
    """The model with the examples of each training step among its statistics, in their order."""

    def init(key: Any, inputs: Any) -> tuple[Any, Any]:
        params, stats = model.init(key, inputs["image"])
        return params, {"inner": stats, "seen": jnp.zeros((EPOCH * EPOCHS, BATCH), jnp.int32), "steps": jnp.int32(0)}

    def apply(params: Any, stats: Any, inputs: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        outputs, inner = model.apply(params, stats["inner"], inputs["image"], train=train, key=key)
        if not train:
            return outputs, stats
        seen = jax.lax.dynamic_update_index_in_dim(stats["seen"], inputs["index"], stats["steps"], 0)
        return outputs, {"inner": inner, "seen": seen, "steps": stats["steps"] + 1}

    return Model(init, apply)


MADE = recipe(
    model=remembering(quick(MLP(hidden=(16,), classes=10))),
    inputs=lambda batch: {"image": batch["image"], "index": batch["index"]},
    epochs=EPOCHS,
    batch_size=BATCH,
    layout=fully_sharded(smallest=1),
)


class StoppedAt(Pace):
    """Receives SIGTERM before this step is handed over; every step is handed over by itself."""

    at = -1

    def until(self, step: int, end: int) -> int | None:
        if step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().until(step, min(step + 1, end))


def train(there: Prepared, path: Path) -> TrainState:
    with locked(path) as run:
        return fit_prepared(there, run)


def losses(path: Path) -> np.ndarray:
    return np.array([[line["train_loss"], line["validation_loss"]] for line in read_jsonl(path / "metrics.jsonl")])


@pytest.mark.by_day_on_pin(1)
def test_a_run_of_eight_devices_goes_on_with_two_and_again_with_eight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eight, two = (prepare(MADE, devices=devices(count)) for count in (8, 2))
    whole = train(eight, tmp_path / "whole")
    monkeypatch.setattr(loop, "Pace", StoppedAt)
    for there, step in ((eight, 1), (two, 6)):  # inside of the first epoch, and of the second
        monkeypatch.setattr(StoppedAt, "at", step)
        with pytest.raises(Stopped):
            train(there, tmp_path / "run")
    monkeypatch.setattr(StoppedAt, "at", -1)
    state = train(eight, tmp_path / "run")
    assert all(len(leaf.devices()) == 8 for leaf in jax.tree.leaves(state))
    np.testing.assert_array_equal(state.stats["seen"], whole.stats["seen"])
    assert len(np.unique(whole.stats["seen"][:EPOCH])) == 100
    found, expected = losses(tmp_path / "run"), losses(tmp_path / "whole")
    assert expected.shape == (EPOCHS, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
