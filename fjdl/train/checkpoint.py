"""Checkpoints: orbax writes the arrays, and a manifest with the sha256 of every file is checked before they are read.

`<root>/<step>/arrays` is an orbax checkpoint, `<root>/<step>/manifest.json` holds the sha256 of each file and a table
of the leaves. A step directory appears under its name at once and complete, or not at all.
"""

import hashlib
import json
import logging
import operator
import os
import re
import shutil
import signal
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fjdl.checks import at_least
from fjdl.errors import CheckpointError, StorageError
from fjdl.files import sync
from fjdl.train.array_files import absent_arrays, load_arrays, save_arrays
from fjdl.train.leaves import compare, describe, dtype_of, host_arrays, named_leaves, place
from fjdl.typing import PyTree

_FORMAT = 1
_ARRAYS, MANIFEST = "arrays", "manifest.json"
_log = logging.getLogger(__name__)


def save(root: Path, step: int, tree: PyTree, *, keep: int = 2, protect: Collection[int] = ()) -> Path:
    """The directory `<root>/<step>`, on the disk with every byte when the call returns.

    Afterwards the newest `keep` steps up to this one stay, and those in `protect`; older ones are deleted. Raises
    `StorageError` where writing fails, with earlier checkpoints intact and nothing half-written left. Raises
    `ValueError` naming the leaf for what cannot be stored: PRNG keys and other non-arrays, arrays without elements,
    dtypes that the format lacks (uint4, float8_e4m3, float128), keys that contain `.` or `/`, and arrays spread over
    processes. Several processes: process 0 calls `save`.
    """
    root, step = root.absolute(), operator.index(step)
    at_least(1, keep=keep)
    if step < 0 or (root / str(step)).exists():
        raise ValueError(f"step must be at least 0 and not yet saved in {root}, got {step}")
    if jax.process_index():
        raise ValueError(f"save must be called on process 0, whose files are whole, got process {jax.process_index()}")
    arrays = host_arrays(tree)
    partial = _partial(root, step)
    try:
        _write(partial, step, arrays)
        partial.rename(root / str(step))
        crash_point("after-rename")
        sync(root)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, Exception):
            raise StorageError(f"checkpoint {step} cannot be saved in {root}: {_reason(error)}") from error
        raise
    for old in [saved for saved in steps(root) if saved <= step][:-keep]:
        if old not in protect:
            _delete(root, old)
    return root / str(step)


def verify(step_dir: Path) -> None:
    """Raises `CheckpointError` naming the file unless every file is there with every byte as written, and no other."""
    manifest = _read_manifest(step_dir)
    if str(manifest["step"]) != step_dir.name:
        raise CheckpointError(f"{step_dir} holds step {manifest['step']}")
    files, expected = _files(step_dir), manifest["files"]
    for name in sorted({*files, *expected}):
        if name not in files:
            raise CheckpointError(f"{step_dir / name} is missing")
        if name not in expected:
            raise CheckpointError(f"{step_dir / name} does not belong to the checkpoint")
        try:
            found = _fingerprint(files[name])
        except OSError as error:
            raise CheckpointError(f"{step_dir / name} cannot be read: {error.strerror}") from error
        if found != expected[name]:
            raise CheckpointError(f"{step_dir / name} is damaged: {found} is not {expected[name]} as saved")
    _require_bytes(step_dir, manifest["leaves"])


def _require_bytes(step_dir: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Raises `CheckpointError` for an array of the table whose bytes no file has, whoever wrote the files."""
    try:
        absent = absent_arrays(step_dir / _ARRAYS, [row["shape"] for row in rows])
    except Exception as error:
        raise CheckpointError(f"{step_dir / _ARRAYS} cannot be read: {_reason(error)}") from error
    if absent:
        names = [row["path"] for number, row in enumerate(rows) if number in absent]
        raise CheckpointError(f"{step_dir} lacks bytes of {len(names)} arrays, the first of which is {names[0]}")


def steps(root: Path) -> list[int]:
    """Steps whose save has ended, ascending; a finished name says nothing about the bytes, see `verify`."""
    return sorted(int(name) for name in _folders(root) if re.fullmatch(r"0|[1-9]\d*", name))


def latest_verified(root: Path, *, set_aside: bool = True) -> int | None:
    """The newest step that verifies, or None where nothing has ever been saved.

    Newer steps that do not verify are renamed to `<step>.corrupt`, with the reason beside them in `<step>.corrupt.txt`
    and as a warning of `logging`; without `set_aside` they stay, and only the warning is given. Raises
    `CheckpointError` where no step is left: a run never starts afresh in silence.
    """
    reasons = []
    for step in reversed(steps(root)):
        try:
            verify(root / str(step))
        except CheckpointError as error:
            if set_aside:
                _quarantine(root / str(step), str(error))
            else:
                _log.warning("checkpoint %s is passed over: %s", step, error)
            reasons.append(str(error))
        else:
            return step
    corrupt = [name for name in _folders(root) if ".corrupt" in name]
    if reasons or corrupt:
        detail = reasons[0] if reasons else f"all were set aside before, see {root / min(corrupt)}.txt"
        raise CheckpointError(f"no checkpoint in {root} can be trusted ({detail}); start again in another directory")
    return None


def restore(root: Path, abstract_tree: PyTree, *, step: int) -> PyTree:
    """The tree saved at `step`, verified, bit for bit, in the structure and on the devices of `abstract_tree`.

    Its leaves are arrays or `jax.ShapeDtypeStruct`s: numpy leaves come back as numpy, others as jax arrays with the
    leaf's sharding. Raises what `read` does.
    """
    return place(read(root, abstract_tree, step=step), abstract_tree)


def read(root: Path, abstract_tree: PyTree, *, step: int) -> PyTree:
    """`restore` with all arrays on the host, as arrays of NumPy.

    Raises `CheckpointError` with a table `path | saved | wanted` unless paths, shapes and dtypes are
    equal; nothing is cast.
    """
    directory = root.absolute() / str(step)
    rows, wanted = _verified(directory), named_leaves(abstract_tree)
    saved = {row["path"]: describe(row["shape"], row["dtype"]) for row in rows}
    compare(saved, {path: describe(leaf.shape, dtype_of(leaf)) for path, leaf in wanted.items()}, where=directory)
    arrays = _arrays(directory, rows)
    return jax.tree.unflatten(jax.tree.structure(abstract_tree), [arrays[path] for path in wanted])


def read_named(step_dir: Path) -> dict[str, np.ndarray]:
    """All arrays of a step directory on the host, verified, by paths such as `params/conv1/kernel`.

    Raises `CheckpointError` as `verify` does, and for a format of another version.
    """
    directory = step_dir.absolute()
    return _arrays(directory, _verified(directory))


def _verified(directory: Path) -> list[dict[str, Any]]:
    """The table of the leaves of a step directory all of whose bytes are as written."""
    verify(directory)
    manifest = _read_manifest(directory)
    if manifest["format"] != _FORMAT:
        raise CheckpointError(f"{directory} has format {manifest['format']}, this version reads {_FORMAT}")
    return manifest["leaves"]


def _arrays(directory: Path, rows: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
    try:
        return dict(zip([row["path"] for row in rows], load_arrays(directory / _ARRAYS), strict=True))
    except Exception as error:
        raise CheckpointError(f"{directory} cannot be read: {_reason(error)}") from error


def clean_partial(root: Path) -> list[str]:
    """Deletes what interrupted saves and deletions left, and names it; only for the holder of the run's lock."""
    left_over = [name for name in _folders(root) if re.fullmatch(r"\d+\.partial-\d+", name)]
    for name in left_over:
        _log.warning("deleting the unfinished checkpoint %s", root / name)
        shutil.rmtree(root / name, ignore_errors=True)
    return left_over


def crash_point(name: str) -> None:
    """Kills the process if `FJDL_CRASH_AT` names this point, so that a test can see what a power cut here leaves."""
    if os.environ.get("FJDL_CRASH_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def _write(partial: Path, step: int, arrays: dict[str, np.ndarray]) -> None:
    crash_point("before-write")
    partial.mkdir(parents=True)
    save_arrays(partial / _ARRAYS, list(arrays.values()))
    crash_point("after-data")
    manifest = {
        "format": _FORMAT,
        "step": step,
        "files": {name: _fingerprint(path) for name, path in _files(partial).items()},
        "leaves": [{"path": p, "shape": list(x.shape), "dtype": x.dtype.name} for p, x in arrays.items()],
    }
    (partial / MANIFEST).write_bytes(_seal(manifest))
    crash_point("after-manifest")
    for path in [*partial.rglob("*"), partial]:
        sync(path)
    crash_point("before-rename")


def _delete(root: Path, step: int) -> None:
    doomed = _partial(root, step)
    try:
        (root / str(step)).rename(doomed)
        crash_point("during-deletion")
        shutil.rmtree(doomed)
    except OSError as error:
        _log.warning("the old checkpoint %s cannot be deleted: %s", root / str(step), error)


def _partial(root: Path, step: int) -> Path:
    """A free name for a directory that is not, or no longer, a checkpoint."""
    path = root / f"{step}.partial-{os.getpid()}"
    shutil.rmtree(path, ignore_errors=True)  # of an earlier process with our number
    return path


def _quarantine(step_dir: Path, reason: str) -> None:
    aside = step_dir.with_name(f"{step_dir.name}.corrupt")
    number = 1
    while aside.exists():
        number += 1
        aside = step_dir.with_name(f"{step_dir.name}.corrupt-{number}")
    _log.warning("checkpoint set aside as %s: %s", aside.name, reason)
    try:
        step_dir.rename(aside)
        aside.with_name(f"{aside.name}.txt").write_text(reason + "\n")
    except OSError as error:
        _log.warning("%s stays where it is: %s", step_dir, error)


def _seal(manifest: dict[str, Any]) -> bytes:
    """The only bytes that are valid for this manifest: they contain their own digest."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    return json.dumps({**manifest, "sha256": digest}, sort_keys=True, indent=1).encode()


def _read_manifest(step_dir: Path) -> dict[str, Any]:
    path = step_dir / MANIFEST
    try:
        content = path.read_bytes()
        manifest = json.loads(content)
        del manifest["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {error!r}") from error
    if _seal(manifest) != content:
        raise CheckpointError(f"{path} is damaged: it does not match its own sha256")
    return manifest


def _files(step_dir: Path) -> dict[str, Path]:
    found = (path for path in step_dir.rglob("*") if not path.is_dir())
    return {name: path for path in found if (name := path.relative_to(step_dir).as_posix()) != MANIFEST}


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()} of {file.tell()} bytes"


def _folders(root: Path) -> list[str]:
    return [entry.name for entry in os.scandir(root) if entry.is_dir()] if root.is_dir() else []


def _reason(error: Exception) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0] or type(error).__name__
    return text if len(text) <= 300 else f"{text[:120]} ... {text[-170:]}"
