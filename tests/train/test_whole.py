"""A whole training as one program."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import optim
from fjdl.models import MLP
from fjdl.train import fit, whole_training
from fjdl.train.json_files import read_jsonl
from fjdl.train.resident import place
from fjdl.train.whole import Whole
from tests.support import assert_trees_close
from tests.train.toy import devices, mesh, noise, quick, recipe, splits


@pytest.mark.by_day_on_pin(1)
def test_one_program_of_seed_and_rate_trains_as_fit_does(tmp_path: Path) -> None:
    made = recipe(model=quick(MLP(hidden=(16,), classes=10, dropout=0.2)), augment=noise, epochs=2)
    train, validation, test = (place(part, mesh()) for part in (splits().train, splits().validation, splits().test))
    traces = []

    @jax.jit
    def run(seed: Any, rate: Any) -> Whole:
        traces.append(1)
        seeded = dataclasses.replace(made, seed=seed, optimizer=lambda steps: optim.momentum(rate))
        return whole_training(seeded, train, each=validation, end=test, mesh=mesh())

    for seed, rate in ((0, 0.1), (3, 0.05)):
        whole = run(jnp.uint32(seed), jnp.float32(rate))
        path = tmp_path / str(seed)
        usual = dataclasses.replace(made, seed=seed, optimizer=lambda steps, rate=rate: optim.momentum(rate))
        state = fit(usual, path, devices=devices())
        assert int(whole.state.step) == 8
        assert_trees_close(whole.state.params, state.params, rtol=1e-5, atol=1e-6)
        records = read_jsonl(path / "metrics.jsonl")
        np.testing.assert_allclose(whole.reports.loss, [record["train_loss"] for record in records], rtol=1e-5)
        np.testing.assert_allclose(whole.each["loss"], [record["validation_loss"] for record in records], rtol=1e-5)
        assert int(whole.end["confusion"].sum()) == 50
    assert len(traces) == 1


def test_evaluations_are_left_out_where_no_data_are_given() -> None:
    whole = jax.eval_shape(lambda arrays: whole_training(recipe(), arrays, mesh=mesh()), place(splits().train, mesh()))
    assert (whole.each, whole.end) == ({}, {})
