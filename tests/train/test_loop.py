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

from fjdl.data.source import to_arrays
from fjdl.errors import CheckpointError, Stopped
from fjdl.models import MLP
from fjdl.optim import adam
from fjdl.schedules import cosine
from fjdl.train import checkpoint, loop, prepare
from fjdl.train.json_files import read_jsonl
from fjdl.train.loop import fit
from fjdl.train.resume import restore_best
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import TrainState
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.runs import AT_REST, saved, train
from tests.train.toy import devices, quick, recipe, splits

LEARNING = recipe(
    model=quick(MLP(hidden=(16,), classes=10, dropout=0.2)),
    optimizer=lambda steps: adam(cosine(peak=0.02, steps=steps)),
    ema=0.5,
    epochs=6,
)


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_are_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests that train the same network share its compiled program."""
    folder = str(tmp_path_factory.mktemp("xla"))
    kept = {
        "jax_enable_compilation_cache": True,
        "jax_compilation_cache_dir": folder,
        "jax_persistent_cache_min_compile_time_secs": 0,
    }
    before = {name: getattr(jax.config, name) for name in kept}
    for name, value in kept.items():
        jax.config.update(name, value)
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
        "train_sample_accuracy", "train_sample_loss", "validation_accuracy", "validation_loss", "state",
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


@pytest.mark.by_day_on_pin(1)
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


@pytest.mark.by_day_on_pin(1)
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


@pytest.mark.by_day_on_pin(1)
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
        functions = (program.part, program.evaluator.whole, program.remember)
        assert [function._cache_size() for function in functions] == [1, 1, 1]
    assert [program.init._cache_size() for program in programs] == [1, 0]  # a run that is taken up draws nothing


def test_without_a_checkpoint_the_best_state_is_the_given_one(tmp_path: Path) -> None:
    state = prepare.prepare(AT_REST, devices=devices()).program.init()
    assert restore_best(RunDirectory(path=tmp_path), state) is state
