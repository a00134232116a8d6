"""Runs whose loss or gradient is not finite end, or leave out the step, and say why."""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.command import run_guarded
from fjdl.data.batches import batch_indices
from fjdl.errors import DivergedError
from fjdl.models import LogisticRegression
from fjdl.nn import Model
from fjdl.train import checkpoint
from fjdl.train.json_files import read_jsonl
from fjdl.train.state import Stream, stream_key
from tests.train.runs import AT_REST, saved, train
from tests.train.toy import counting, quick, recipe


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
        "the last checkpoint is intact, try a smaller learning rate"
    )
    assert error.value.exit_status == 5
    assert max(saved(tmp_path)) == 12
    for step in saved(tmp_path):
        checkpoint.verify(tmp_path / "checkpoints" / str(step))
    records = read_jsonl(tmp_path / "metrics.jsonl")
    assert [(record["train_bad"], record["train_last_bad_step"]) for record in records] == [(0, -1), (0, -1), (2, 11)]
    with pytest.raises(SystemExit) as end:
        run_guarded(lambda: train(made, tmp_path))  # type: ignore[arg-type, return-value]
    assert end.value.code == 5
    assert "fjdl: 6 steps in a row were refused, most recently step 15: loss not finite" in capsys.readouterr().err
    assert max(saved(tmp_path)) == 12


def spoil(key: Any, batch: Any) -> Any:
    """An augmentation that makes a NaN of one pixel of the training example 17."""
    spoilt = (batch["index"] == 17)[:, None, None, None]
    return {**batch, "image": batch["image"] + jnp.where(spoilt, jnp.nan, 0.0)}


def steep(params: Any) -> Any:
    """A penalty of 0 whose gradient is infinite."""
    return jnp.sqrt(0.0 * jnp.sum(params["logits"]["bias"]))


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


def test_a_step_that_is_refused_for_its_gradient_says_so(tmp_path: Path) -> None:
    made = dataclasses.replace(AT_REST, penalty=steep, epochs=1)
    train(made, tmp_path)
    (record,) = read_jsonl(tmp_path / "metrics.jsonl")
    assert (record["train_bad"], record["train_last_bad_step"], record["train_last_bad_cause"]) == (4, 3, "gradient")
    assert len(record["train_last_bad_examples"]) == 4
