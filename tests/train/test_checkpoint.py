import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from fjdl.errors import CheckpointError, StorageError
from fjdl.optim import momentum, partition, sgd
from fjdl.train import checkpoint
from fjdl.tree import digest
from tests.support import ROOT
from tests.train.trees import all_files, assert_identical, rich, small


def test_every_dtype_and_special_value_comes_back_bit_for_bit(tmp_path: Path) -> None:
    tree = rich()
    with jax.transfer_guard("disallow"):
        checkpoint.save(tmp_path, 7, tree)
        restored = checkpoint.restore(tmp_path, tree, step=7)
    assert_identical(restored, tree)
    assert restored["sharded"].sharding == tree["sharded"].sharding
    assert restored["replicated"].sharding == tree["replicated"].sharding


@pytest.mark.parametrize("folder", ["runs/a", "a b", "50%20", "a#1?b"])
def test_a_relative_folder_of_any_name_is_verified(tmp_path: Path, monkeypatch: Any, folder: str) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save(Path(folder), 3, small())
    assert checkpoint.latest_verified(Path(folder)) == 3
    assert_identical(checkpoint.restore(Path(folder), small(), step=3), small())


def test_the_state_of_groups_by_path_comes_back(tmp_path: Path) -> None:
    optimizer = partition([(r".*/kernel", momentum(0.1)), (r".*", sgd(0.1))])
    state = optimizer.init(small())
    checkpoint.save(tmp_path, 1, {"opt": state})
    assert digest(checkpoint.restore(tmp_path, {"opt": state}, step=1)) == digest({"opt": state})


def test_arrays_are_placed_as_the_abstract_leaf_says_not_as_saved(tmp_path: Path) -> None:
    values = np.arange(16.0, dtype=np.float32)
    checkpoint.save(tmp_path, 0, {"a": values, "b": values})
    over_data = NamedSharding(jax.make_mesh((8,), ("data",)), PartitionSpec("data"))
    abstract = {
        "a": jax.ShapeDtypeStruct((16,), jnp.float32, sharding=over_data),
        "b": jax.ShapeDtypeStruct((16,), jnp.float32),
    }
    restored = checkpoint.restore(tmp_path, abstract, step=0)
    assert restored["a"].sharding == over_data
    assert not restored["b"].committed
    np.testing.assert_array_equal(restored["a"], values)


def test_arrays_that_were_free_to_move_between_devices_still_are(tmp_path: Path) -> None:
    free, bound = jax.jit(jnp.zeros, static_argnums=0)(3), jax.device_put(jnp.zeros(3), jax.devices()[5])
    checkpoint.save(tmp_path, 0, {"free": free, "bound": bound})
    restored = checkpoint.restore(tmp_path, {"free": free, "bound": bound}, step=0)
    assert not restored["free"].committed
    assert restored["bound"].devices() == {jax.devices()[5]}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a.b": np.ones(1)}, r"free of '\.' and '/', got the leaf a\.b"),
        ({"a": {"b/c": np.ones(1)}}, r"free of '\.' and '/', got the leaf a/b/c"),
        ({"params": {"w": np.zeros((0, 3))}}, r"at least one element, got shape \(0, 3\) at params/w"),
        ({"rate": 0.1}, "array of numbers, got float at rate"),
        ({"name": np.array(["x"])}, "array of numbers, got ndarray at name"),
        ({"key": jax.random.key(0)}, "array of numbers, got .* at key"),
        ({"a": None}, "at least one leaf"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_path_before_anything_is_written(
    tmp_path: Path, tree: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        checkpoint.save(tmp_path, 0, tree)
    assert not list(tmp_path.iterdir())


def every_number_type() -> dict[str, np.dtype]:
    """All dtypes of numbers that NumPy and ml_dtypes know, by name."""
    kinds = [kind for name, kind in vars(ml_dtypes).items() if re.fullmatch(r"b?(u?int|float)\d+\w*", name)]
    codes = "?" + np.typecodes["AllInteger"] + np.typecodes["AllFloat"]
    return {np.dtype(kind).name: np.dtype(kind) for kind in (*codes, *kinds)}


def test_each_dtype_of_numbers_comes_back_or_is_refused_with_the_path_of_its_leaf(tmp_path: Path) -> None:
    leaves = {name: np.asarray([0, 1, 1]).astype(dtype) for name, dtype in every_number_type().items()}
    refused = {"int1", "uint1", "uint2", "uint4", "float6_e2m3fn", "float6_e3m2fn", "float8_e4m3"}
    refused |= {"float128", "complex256"}
    for name in refused & leaves.keys():
        with pytest.raises(ValueError, match=f"a dtype that checkpoints can hold, got {name} at opt/{name}"):
            checkpoint.save(tmp_path, 0, {"opt": {"fine": np.ones(3), name: leaves[name]}})
    assert not list(tmp_path.iterdir())
    held = {name: leaf for name, leaf in leaves.items() if name not in refused}
    assert {"int2", "int4", "float8_e4m3fn", "bfloat16", "complex128"} <= held.keys()
    checkpoint.save(tmp_path, 0, held)
    assert_identical(checkpoint.restore(tmp_path, held, step=0), held)


def test_impossible_arguments_are_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, small())
    for step, keep in ((1, 2), (-1, 2), (2, 0)):
        with pytest.raises(ValueError, match="must be at least"):
            checkpoint.save(tmp_path, step, small(), keep=keep)


def test_a_checkpoint_under_another_steps_name_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 3, small()).rename(tmp_path / "4")
    with pytest.raises(CheckpointError, match="holds step 3"):
        checkpoint.verify(tmp_path / "4")


def test_restore_verifies_before_it_reads(tmp_path: Path) -> None:
    directory = checkpoint.save(tmp_path, 3, small())
    max(all_files(directory / "arrays"), key=lambda path: path.stat().st_size).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.restore(tmp_path, small(), step=3)


def test_a_damaged_step_is_set_aside_and_the_previous_one_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2, 10):
        checkpoint.save(tmp_path, step, small(step), keep=9)
    (tmp_path / "10" / "manifest.json").write_bytes(b"{}")
    assert checkpoint.latest_verified(tmp_path) == 2
    assert checkpoint.steps(tmp_path) == [1, 2]
    assert (tmp_path / "10.corrupt" / "arrays").is_dir()
    assert "manifest.json" in (tmp_path / "10.corrupt.txt").read_text()
    assert "10.corrupt" in caplog.text
    checkpoint.save(tmp_path, 10, small(10), keep=9)
    (tmp_path / "10" / "manifest.json").unlink()
    assert checkpoint.latest_verified(tmp_path) == 2
    assert (tmp_path / "10.corrupt-2").is_dir()


def test_when_no_step_verifies_nothing_is_deleted_and_nothing_starts_afresh(tmp_path: Path) -> None:
    for step in (1, 2):
        (checkpoint.save(tmp_path, step, small()) / "manifest.json").unlink()
    before = sorted(path.read_bytes() for path in all_files(tmp_path))
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be trusted"):
            checkpoint.latest_verified(tmp_path)
    reasons = {tmp_path / "1.corrupt.txt", tmp_path / "2.corrupt.txt"}
    assert sorted(path.read_bytes() for path in all_files(tmp_path) if path not in reasons) == before


def test_nothing_saved_yet_is_none(tmp_path: Path) -> None:
    assert checkpoint.latest_verified(tmp_path / "absent") is None
    (tmp_path / "5.partial-77").mkdir()
    assert checkpoint.latest_verified(tmp_path) is None


def test_only_finished_steps_count_and_only_our_left_overs_are_removed(tmp_path: Path) -> None:
    for name in ("3", "12", "5.partial-77", "5.corrupt", "007", "6.orbax-checkpoint-tmp", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").touch()
    assert checkpoint.steps(tmp_path) == [3, 12]
    assert checkpoint.clean_partial(tmp_path) == ["5.partial-77"]
    assert not (tmp_path / "5.partial-77").exists()
    assert (tmp_path / "6.orbax-checkpoint-tmp").exists()


def test_the_newest_steps_and_the_protected_ones_stay(tmp_path: Path) -> None:
    for step in range(6):
        checkpoint.save(tmp_path, step, small(), keep=2, protect=(1,))
    assert checkpoint.steps(tmp_path) == [1, 4, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "4", "5"]
    checkpoint.save(tmp_path, 6, small(), keep=1)
    assert checkpoint.steps(tmp_path) == [6]


def test_a_save_behind_later_steps_deletes_neither_them_nor_itself(tmp_path: Path) -> None:
    for step in (20, 30, 25):
        checkpoint.save(tmp_path, step, small(), keep=1)
    assert checkpoint.steps(tmp_path) == [25, 30]


def test_a_failing_write_leaves_older_checkpoints_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 1, small())
    for function, error in (("sync", OSError(28, "No space left on device")), ("save_arrays", KeyboardInterrupt())):

        def fail(*_: Any, error: BaseException = error) -> None:
            raise error

        with monkeypatch.context() as full:
            full.setattr(checkpoint, function, fail)
            with pytest.raises((StorageError, KeyboardInterrupt)) as caught:
                checkpoint.save(tmp_path, 2, small(), keep=1)
        assert caught.type is KeyboardInterrupt or str(caught.value) == (
            f"checkpoint 2 cannot be saved in {tmp_path}: No space left on device"
        )
        assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert checkpoint.latest_verified(tmp_path) == 1
    checkpoint.save(tmp_path, 2, small(), keep=1)
    assert checkpoint.latest_verified(tmp_path) == 2


def test_a_root_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="Not a directory"):
        checkpoint.save(tmp_path / "file", 1, small())


@pytest.mark.by_day_on_pin(1)
def test_importing_the_module_does_not_load_orbax() -> None:
    code = "import sys, fjdl.train.checkpoint; sys.exit('orbax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


def test_the_manifest_lists_every_leaf(tmp_path: Path) -> None:
    directory = checkpoint.save(tmp_path, 4, small())
    manifest = json.loads((directory / "manifest.json").read_bytes())
    assert manifest["step"] == 4
    assert manifest["leaves"] == [
        {"path": "params/bias", "shape": [4], "dtype": "float32"},
        {"path": "params/kernel", "shape": [3, 4], "dtype": "float32"},
    ]
