"""Questions about a run are answered from its files, and where asked from its network."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import matplotlib.image
import numpy as np
import pytest

from experiments.diagnose import lines
from experiments.diagnoses.from_records import from_records
from experiments.diagnoses.measured import Answers, look, named_suspects, of_answers, of_layers
from experiments.evaluate import LoadedRun
from fjdl.models import MLP
from fjdl.train.prepare import prepare
from tests.experiments.support import USAGE, Command, sentence, snapshot, unfinished
from tests.train.toy import quick, recipe

FROM_RECORDS = ["divergence", "gradient spikes", "oscillation", "plateau", "too short", "overfitting"]
RECORDS: list[dict[str, Any]] = [
    {"step": n, "epoch": n, "train_loss": 2 / n, "validation_loss": loss, "train_gradient_norm": 1.0, "train_bad": 0}
    for n, loss in enumerate((2.0, 1.0, 1.5), start=1)
]


def test_trouble_comes_first_with_advice_and_then_what_is_fine() -> None:
    told = lines(from_records(RECORDS, None))
    assert told[0].startswith("! overfitting: the validation loss was lowest at epoch 2 (1) and is 50 % above that")
    assert told[1].startswith("    - evaluate the best epoch")
    fine = told[told.index("fine:") + 1 :]
    assert len(fine) == 6
    assert fine[-1].startswith("  gap of losses: the loss is 1 on training examples and 1 on validation examples")


def test_a_run_is_asked_without_its_data_and_nothing_in_it_changes(trained_run: Path, command: Command) -> None:
    before = snapshot(trained_run)
    outcome = command("diagnose", trained_run)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[0] == f"{trained_run}, 2 epochs, finished"
    assert snapshot(trained_run) == before
    told = [json.loads(line) for line in command("diagnose", trained_run, "--json").out.splitlines()]
    assert [line["name"] for line in told] == [*FROM_RECORDS, "gap of scores", "different parts"]
    assert all(bool(line["advice"]) is line["trouble"] for line in told)


def test_a_run_that_goes_on_is_asked_by_its_losses(trained_run: Path, tmp_path: Path, command: Command) -> None:
    outcome = command("diagnose", unfinished(trained_run, tmp_path / "run"), "--json")
    assert [json.loads(line)["name"] for line in outcome.out.splitlines()] == [*FROM_RECORDS, "gap of losses"]


def test_its_network_is_looked_into_where_asked(trained_run: Path, tmp_path: Path, command: Command) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    outcome = command("diagnose", run, "--evaluate", "--examples", 32)
    assert outcome.status == 0
    for name in ("gradient flow", "weak classes", "calibration", "label noise"):
        assert f"{name}: " in outcome.out
    figure = run / "plots" / "distributions.png"
    assert outcome.out.splitlines()[-1] == str(figure)
    assert matplotlib.image.imread(figure).ndim == 3


@pytest.mark.parametrize(("arguments", "rule"), [(["--aim", "2"], "aim lie in"), ([], "has no records of epochs")])
def test_what_cannot_be_asked_is_one_sentence(
    tmp_path: Path, command: Command, arguments: list[str], rule: str
) -> None:
    outcome = command("diagnose", tmp_path, *arguments)
    assert outcome.status == 2
    assert rule in sentence(outcome)


def test_units_that_are_always_zero_are_found_in_the_network() -> None:
    made = recipe(model=quick(MLP(hidden=(16,), classes=10)))
    _, splits, _, program = prepare(made, devices=jax.devices()[:1])
    state = program.init()
    bias = np.array(state.params["hidden1"]["bias"])
    bias[:8], bias[8:] = -10, 10
    dead = {**state.params, "hidden1": {**state.params["hidden1"], "bias": jax.numpy.asarray(bias)}}
    found = {
        finding.name: finding
        for finding in of_layers(look(LoadedRun(made, splits, program, state._replace(params=dead)), 20))
    }
    assert found["dead units"].words.startswith("8 of 16 ReLU units are 0 for all examples: ")
    assert not found["gradient flow"].trouble
    assert "hidden1/kernel and " in found["gradient flow"].words


def test_labels_that_were_exchanged_are_suspect() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 300)
    probabilities = (0.05 + 0.85 * np.eye(3)[true]).astype(np.float32)
    labels = true.copy()
    labels[:6] = (true[:6] + 1) % 3
    told = Answers(probabilities, labels)
    found = {finding.name: finding for finding in of_answers(told, ("a", "b", "c"))}
    assert found["label noise"].numbers["suspects"] == 6
    names = named_suspects(told, ("a", "b", "c"), most=4)
    assert len(names) == 4
    assert names[0] == f"example 0: labelled {'abc'[labels[0]]} (0.050), rather {'abc'[true[0]]} (0.900)"


FAULTY = """
import dataclasses
import jax.numpy as jnp
from configs.iris_mlp import recipe as original

def surprise(outputs, batch):
    return jnp.log(jnp.sum(jnp.maximum(outputs, 0.0), axis=1) * 0.0)

def recipe(*, seed: int = 0):
    return dataclasses.replace(original(seed=seed, hidden=()), loss=surprise, epochs=1, batch_size=96, max_bad_steps=1)
"""


def test_the_operation_that_made_a_training_stop_is_named_with_its_line(tmp_path: Path, command: Command) -> None:
    (tmp_path / "faulty.py").write_text(FAULTY)
    run = tmp_path / "run"
    outcome = command("train", tmp_path / "faulty.py", "--run-dir", run, "--debug-nans")
    assert outcome.status == 5
    step, loss, gradient, *_, last = outcome.err.splitlines()
    assert step == f"{run}, step 1 once more, from {run / 'diverged' / '1'}, one operation at a time:"
    assert f"loss: log of float32[96] from 0 to 0 gives infinity (module loss, {tmp_path / 'faulty.py'}:7 in" in loss
    assert "gradient: not finite for 2 parameters, the first is logits/bias: " in gradient
    assert last.startswith("fjdl: 2 steps in a row were refused, most recently step 1: loss not finite")
    again = command("diagnose", run, "--step", "0")
    assert "from the beginning of the training" in again.out
    assert f"{run / 'config.py'}:7 in surprise" in again.out


def test_a_run_without_refused_steps_has_none_to_do_once_more(trained_run: Path, command: Command) -> None:
    outcome = command("diagnose", trained_run, "--debug-nans")
    assert outcome.status == USAGE
    assert f"no step of {trained_run} was refused; --step N does any step once more" in sentence(outcome)
