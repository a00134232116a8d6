"""Runs whose loss or gradient is not finite end, or leave out the step, and say why."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.command import run_guarded
from fjdl.data.batches import batch_indices
from fjdl.errors import DivergedError, UsageError
from fjdl.models import LogisticRegression
from fjdl.nn import Model
from fjdl.train import checkpoint
from fjdl.train.diverged import keep_diverged, read_diverged
from fjdl.train.json_files import read_jsonl
from fjdl.train.prepare import prepare
from fjdl.train.refused import Refused
from fjdl.train.replay import replay, state_before
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import Stream, stream_key
from fjdl.tree import digest
from tests.train.runs import AT_REST, saved, train
from tests.train.toy import counting, devices, quick, recipe


def poisoned(model: Model, *, after: int) -> Model:
    """The model whose outputs are NaN in training once its statistics have counted so many passes."""
    counted = counting(model)

    def apply(params: Any, stats: Any, inputs: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        outputs, new = counted.apply(params, stats, inputs, train=train, key=key)
        return jnp.where(train & (stats["passes"] >= after), jnp.nan, outputs), new

    return Model(counted.init, apply)


def test_a_run_that_diverges_ends_with_status_5_and_intact_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = recipe(model=poisoned(quick(LogisticRegression(10)), after=10), max_bad_steps=6, epochs=5)
    with pytest.raises(DivergedError) as error:
        train(made, tmp_path)
    rows, mask = batch_indices(stream_key(0, Stream.ORDER), 15, length=100, batch_size=32)
    examples = ", ".join(str(row) for row in sorted(np.asarray(rows)[np.asarray(mask) > 0]))
    assert str(error.value) == (
        f"6 steps in a row were refused, most recently step 15: loss not finite, training examples {examples}; "
        f"the step is kept in {tmp_path / 'diverged'}, and python -m experiments.diagnose {tmp_path} --debug-nans "
        "names the first operation that was not finite; the last checkpoint is intact, try a smaller learning rate"
    )
    assert error.value.exit_status == 5
    assert max(saved(tmp_path)) == 12
    kept = read_diverged(RunDirectory(path=tmp_path))
    assert kept is not None
    assert (kept.step, kept.cause, kept.streak, kept.state) == (15, "loss", 6, True)
    assert ", ".join(map(str, kept.examples)) == examples
    replayed = replay(prepare(made, devices=devices()), RunDirectory(path=tmp_path), 15)
    assert replayed.start == str(tmp_path / "diverged" / "15")
    loss = next(each for each in replayed.found if each.name == "loss")
    assert loss.cause.result == "NaN"
    assert Path(__file__).name in loss.cause.place
    for step in saved(tmp_path):
        checkpoint.verify(tmp_path / "checkpoints" / str(step))
    records = read_jsonl(tmp_path / "metrics.jsonl")
    assert [(record["train_bad"], record["train_last_bad_step"]) for record in records] == [(0, -1), (0, -1), (2, 11)]
    with pytest.raises(SystemExit) as end:
        run_guarded(lambda: train(made, tmp_path))  # type: ignore[arg-type, return-value]
    assert end.value.code == 5
    assert "fjdl: 6 steps in a row were refused, most recently step 15: loss not finite" in capsys.readouterr().err
    assert max(saved(tmp_path)) == 12


def test_the_state_before_any_step_comes_back_bit_for_bit(tmp_path: Path) -> None:
    made = recipe(model=quick(LogisticRegression(10)), epochs=3)
    last = train(made, tmp_path)
    run, prepared = RunDirectory(path=tmp_path), prepare(made, devices=devices())
    wanted = checkpoint.restore(run.checkpoints, last, step=8)
    for step in saved(tmp_path):
        shutil.rmtree(run.checkpoints / str(step))
    found, start = state_before(prepared, run, 8)
    assert start == "the beginning of the training"
    for name in ("step", "params", "stats", "opt", "carry", "scale"):
        assert digest(getattr(found, name)) == digest(getattr(wanted, name)), name
    checkpoint.save(run.checkpoints, 8, wanted)
    found, start = state_before(prepared, run, 11)
    assert start == str(run.checkpoints / "8")
    assert int(found.step) == 11
    assert replay(prepared, run, 11).found == []
    with pytest.raises(UsageError, match=r"step must lie in \[0, 12\), got 12"):
        replay(prepared, run, 12)


def test_a_dump_that_good_steps_followed_has_no_state_and_replaces_the_one_before(tmp_path: Path) -> None:
    made = recipe(model=quick(LogisticRegression(10)))
    state = jax.device_get(prepare(made, devices=devices()).program.init())
    run = RunDirectory(path=tmp_path)
    assert read_diverged(run) is None
    bad = state._replace(step=np.int32(5), streak=np.int32(2), skipped=np.int32(3))
    keep_diverged(run, bad, Refused(4, "gradient", [1, 2]), 2)
    kept = checkpoint.restore(run.diverged, bad, step=4)
    assert (int(kept.step), int(kept.streak), int(kept.skipped)) == (4, 1, 2)
    norm = float(np.sqrt(np.sum(np.square(state.params["logits"]["kernel"], dtype=np.float64))))
    told = keep_diverged(run, bad._replace(streak=np.int32(0)), Refused(3, "loss", [7]), 2)
    assert told.norms["logits/kernel"] == pytest.approx(norm)
    assert read_diverged(run) == told
    assert not told.state
    assert [path.name for path in run.diverged.iterdir()] == ["diverged.json"]


def spoil(key: Any, batch: Any) -> Any:
    """An augmentation that makes a NaN of one pixel of the training example 17."""
    spoilt = (batch["index"] == 17)[:, None, None, None]
    return {**batch, "image": batch["image"] + jnp.where(spoilt, jnp.nan, 0.0)}


def steep(params: Any) -> Any:
    """A penalty of 0 whose gradient is infinite."""
    return jnp.sqrt(0.0 * jnp.sum(params["logits"]["bias"]))


@pytest.mark.by_day_on_pin(1)
def test_a_run_outlives_an_example_that_is_not_finite_and_names_steps_cause_and_examples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = train(recipe(augment=spoil), tmp_path)
    records = read_jsonl(tmp_path / "metrics.jsonl")
    assert [record["train_bad"] for record in records] == [1, 1, 1]
    assert all(4 * n <= record["train_last_bad_step"] < 4 * n + 4 for n, record in enumerate(records))
    assert records[-1]["train_loss"] < records[0]["train_loss"]
    assert (int(state.step), int(state.skipped), int(state.streak)) == (12, 3, 0)
    for record in records:
        assert record["train_last_bad_cause"] == "loss"
        assert 17 in record["train_last_bad_examples"]
        assert len(set(record["train_last_bad_examples"])) in (4, 32)
    last = records[-1]["train_last_bad_step"]
    assert f"1 steps refused (last step {last}: loss not finite, training examples " in capsys.readouterr().err


@pytest.mark.by_day_on_pin(1)
def test_a_step_that_is_refused_for_its_gradient_says_so(tmp_path: Path) -> None:
    made = dataclasses.replace(AT_REST, penalty=steep, epochs=1)
    train(made, tmp_path)
    (record,) = read_jsonl(tmp_path / "metrics.jsonl")
    assert (record["train_bad"], record["train_last_bad_step"], record["train_last_bad_cause"]) == (4, 3, "gradient")
    assert len(record["train_last_bad_examples"]) == 4
