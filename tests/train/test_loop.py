import dataclasses
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from experiments.command import run_guarded
from fjdl.data.batches import batch_indices
from fjdl.data.source import Splits, to_arrays
from fjdl.errors import CheckpointError, DivergedError, Stopped
from fjdl.models import MLP, LogisticRegression
from fjdl.nn import Model
from fjdl.optim import adam, sgd
from fjdl.schedules import cosine
from fjdl.train import checkpoint, loop, prepare
from fjdl.train.json_files import read_jsonl
from fjdl.train.loop import fit
from fjdl.train.recipe import Recipe
from fjdl.train.resume import restore_best
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import Stream, TrainState, stream_key
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.toy import counting, devices, quick, recipe, splits

LEARNING = recipe(
    model=quick(MLP(hidden=(16,), classes=10, dropout=0.2)),
    optimizer=lambda steps: adam(cosine(peak=0.02, steps=steps)),
    ema=0.5,
    epochs=6,
)
AT_REST = recipe(model=quick(LogisticRegression(10)), optimizer=lambda steps: sgd(0.0), epochs=7)


def train(made: Recipe, path: Path, data: Splits | None = None) -> TrainState:
    chosen = made if data is None else dataclasses.replace(made, splits=lambda: data)
    return fit(chosen, path, devices=devices())


def saved(path: Path) -> list[int]:
    return checkpoint.steps(path / "checkpoints")


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_are_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests that train the same network share its compiled program."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update(names[0], str(tmp_path_factory.mktemp("xla")))
    jax.config.update(names[1], 0)
    reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    reset_cache()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainState]:
    """A run of six epochs that nothing disturbed."""
    path = tmp_path_factory.mktemp("whole")
    return path, jax.device_get(train(LEARNING, path))


def assert_same_run(path: Path, state: Any, whole: tuple[Path, TrainState]) -> None:
    assert digest(state) == digest(whole[1])
    assert (path / "metrics.jsonl").read_bytes() == (whole[0] / "metrics.jsonl").read_bytes()
    assert saved(path) == saved(whole[0])


def test_every_epoch_leaves_one_record_of_what_the_seed_decides(whole: tuple[Path, TrainState]) -> None:
    records = read_jsonl(whole[0] / "metrics.jsonl")
    assert [(record["step"], record["epoch"]) for record in records] == [(4 * n, n) for n in range(1, 7)]
    assert list(records[0]) == [
        "step", "epoch", "train_loss", "train_gradient_norm", "train_bad", "train_last_bad_step",
        "validation_accuracy", "validation_loss", "state",
    ]  # fmt: skip
    assert records[-1]["train_loss"] < 0.9 * records[0]["train_loss"]
    assert records[-1]["validation_accuracy"] > 1.5 * records[0]["validation_accuracy"]
    assert len({record["state"] for record in records}) == 6
    times = read_jsonl(whole[0] / "timing.jsonl")
    assert [record["step"] for record in times] == [record["step"] for record in records]


def test_the_last_record_the_last_checkpoint_and_the_state_agree(whole: tuple[Path, TrainState]) -> None:
    path, state = whole
    assert read_jsonl(path / "metrics.jsonl")[-1]["state"] == digest(state)
    assert digest(checkpoint.restore(path / "checkpoints", state, step=24)) == digest(state)


def test_the_average_of_the_parameters_is_what_is_measured(whole: tuple[Path, TrainState]) -> None:
    path, state = whole
    arrays, ema = to_arrays(splits().validation), state.ema
    hidden = np.maximum(arrays["image"].reshape(60, 64) @ ema["hidden1"]["kernel"] + ema["hidden1"]["bias"], 0)
    logits = hidden @ ema["logits"]["kernel"] + ema["logits"]["bias"]
    expected = (logits.argmax(axis=1) == arrays["label"]).mean()
    np.testing.assert_allclose(read_jsonl(path / "metrics.jsonl")[-1]["validation_accuracy"], expected, rtol=1e-6)


def test_the_best_epoch_is_kept_and_can_be_restored(whole: tuple[Path, TrainState]) -> None:
    path, state = whole
    records = read_jsonl(path / "metrics.jsonl")
    best = records[int(np.argmax([record["validation_accuracy"] for record in records]))]
    assert saved(path) == sorted({best["step"], 20, 24})
    assert (int(state.best.step), float(state.best.value)) == (best["step"], np.float32(best["validation_accuracy"]))
    assert digest(restore_best(RunDirectory(path=path), state)) == best["state"]


def crash_in_the_fourth_save(path: Path) -> None:
    """The epoch's record is on the disk, its checkpoint is not."""
    save = checkpoint.save

    def failing(root: Path, step: int, tree: Any, **options: Any) -> Path:
        if step == 16:
            raise KeyboardInterrupt
        return save(root, step, tree, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", failing)
        with pytest.raises(KeyboardInterrupt):
            train(LEARNING, path)
    assert [record["step"] for record in read_jsonl(path / "metrics.jsonl")] == [4, 8, 12, 16]
    assert max(saved(path)) == 12


def damage_the_newest(path: Path) -> None:
    file = max((path / "checkpoints" / "24").rglob("*"), key=lambda file: file.stat().st_size * file.is_file())
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.filterwarnings("ignore:checkpoint set aside")
@pytest.mark.parametrize("damage", [None, damage_the_newest, crash_in_the_fourth_save])
def test_a_run_that_is_taken_up_ends_with_the_same_bits(
    damage: Any, whole: tuple[Path, TrainState], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    if damage is crash_in_the_fourth_save:
        path.mkdir()
    else:
        shutil.copytree(whole[0], path)
    if damage is not None:
        damage(path)
    state = train(LEARNING, path)
    step = {None: 24, damage_the_newest: 20, crash_in_the_fourth_save: 12}[damage]
    assert f"resumed from step {step}, state " in capsys.readouterr().out
    assert_same_run(path, state, whole)


def test_a_run_can_be_taken_up_on_more_devices(whole: tuple[Path, TrainState], tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "24")
    state = fit(LEARNING, tmp_path / "run", devices=devices(4))
    assert all(len(leaf.devices()) == 4 for leaf in jax.tree.leaves(state))
    assert_trees_close(jax.device_get(state), whole[1], rtol=1e-5, atol=1e-5)


def test_another_network_does_not_take_the_run_up(whole: tuple[Path, TrainState], tmp_path: Path) -> None:
    shutil.copytree(whole[0], tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"params/hidden1/kernel\s+\| float32 \(64, 16\) +\| nothing"):
        train(AT_REST, tmp_path / "run")


def test_a_stop_request_ends_the_run_between_epochs_with_its_state_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dataclasses.replace(AT_REST, epochs=4, save_every=100)  # the first epoch is the best
    write, before = loop.append_jsonl, signal.getsignal(signal.SIGTERM)

    def interrupted(path: Path, record: Any) -> None:
        write(path, record)
        if path.name == "metrics.jsonl" and record["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "append_jsonl", interrupted)
        with pytest.raises(Stopped, match="the same command resumes") as stopped:
            train(made, tmp_path)
    assert stopped.value.exit_status == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert saved(tmp_path) == [4, 12]
    assert int(train(made, tmp_path).step) == 16
    assert [record["epoch"] for record in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4]


def test_patience_ends_a_run_that_gets_no_better_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    made = dataclasses.replace(AT_REST, epochs=9, patience=3)
    state = train(made, tmp_path)
    assert (int(state.step), int(state.best.step), int(state.best.wait)) == (16, 4, 3)
    assert saved(tmp_path) == [4, 12, 16]
    assert int(restore_best(RunDirectory(path=tmp_path), state).step) == 4
    records = (tmp_path / "metrics.jsonl").read_bytes()
    assert int(train(made, tmp_path).step) == 16
    assert (tmp_path / "metrics.jsonl").read_bytes() == records


def test_saving_every_other_epoch_also_saves_the_best_and_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    monkeypatch.setattr(checkpoint, "save", lambda root, step, tree, **options: steps.append((step, options)))
    train(dataclasses.replace(AT_REST, epochs=5, save_every=2), tmp_path)
    assert steps == [(step, {"protect": [4]}) for step in (4, 8, 16, 20)]


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


def test_an_epoch_runs_under_the_transfer_guard_and_nothing_compiles_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, refused = [], []
    compile_program, write = prepare.compile_program, loop.append_jsonl

    def watched(*args: Any, **options: Any) -> Any:
        programs.append(compile_program(*args, **options))
        return programs[-1]

    def transferring(path: Path, record: Any) -> None:
        write(path, record)
        with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
            jnp.add(np.ones(2), np.ones(2))
        refused.append(path.name)

    monkeypatch.setattr(prepare, "compile_program", watched)
    monkeypatch.setattr(loop, "append_jsonl", transferring)
    train(dataclasses.replace(AT_REST, epochs=3), tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "12")
    train(dataclasses.replace(AT_REST, epochs=3), tmp_path)
    assert refused == ["metrics.jsonl", "timing.jsonl"] * 4
    for program in programs:
        functions = (program.init, program.epoch, program.evaluator.whole, program.remember)
        assert [function._cache_size() for function in functions] == [1, 1, 1, 1]


def test_without_a_checkpoint_the_best_state_is_the_given_one(tmp_path: Path) -> None:
    state = prepare.prepare(AT_REST, devices=devices()).program.init()
    assert restore_best(RunDirectory(path=tmp_path), state) is state
