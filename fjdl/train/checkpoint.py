"""Checkpoints: orbax writes the arrays, and a manifest with the sha256 of every file is checked before they are read.

`<root>/<step>/arrays` is an orbax checkpoint, `<root>/<step>/manifest.json` holds the sha256 of each file and a table
of the leaves. A step directory appears under its name at once and complete, or not at all.
"""

import difflib
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
import jax.numpy as jnp
import numpy as np

from fjdl import tree as trees
from fjdl.checks import at_least
from fjdl.errors import CheckpointError, StorageError
from fjdl.files import sync
from fjdl.train.array_files import DTYPES, load_arrays, save_arrays
from fjdl.typing import PyTree

_FORMAT = 1
_ARRAYS, _MANIFEST = "arrays", "manifest.json"
_log = logging.getLogger(__name__)


def save(root: Path, step: int, tree: PyTree, *, keep: int = 2, protect: Collection[int] = ()) -> Path:
    """The directory `<root>/<step>`, on the disk with every byte when the call returns.

    Afterwards the newest `keep` steps up to this one stay, and those in `protect`; older ones are deleted. Raises
    `StorageError` where writing fails, with earlier checkpoints intact and nothing half-written left. Raises
    `ValueError` naming the leaf for what cannot be stored: PRNG keys and other non-arrays, arrays without elements,
    dtypes that the format lacks (uint4, float8_e4m3, float128), keys that contain `.` or `/`, and arrays spread over
    processes. Several processes: one of them calls `save`.
    """
    root, step = root.absolute(), operator.index(step)
    at_least(1, keep=keep)
    if step < 0 or (root / str(step)).exists():
        raise ValueError(f"step must be at least 0 and not yet saved in {root}, got {step}")
    arrays = _host_arrays(tree)
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
    leaf's sharding. Raises `CheckpointError` with a table `path | saved | wanted` unless paths, shapes and dtypes are
    equal; nothing is cast.
    """
    directory = root.absolute() / str(step)
    verify(directory)
    manifest = _read_manifest(directory)
    if manifest["format"] != _FORMAT:
        raise CheckpointError(f"{directory} has format {manifest['format']}, this version reads {_FORMAT}")
    wanted = _named_leaves(abstract_tree)
    saved = {row["path"]: _describe(row["shape"], row["dtype"]) for row in manifest["leaves"]}
    _compare(saved, {path: _describe(leaf.shape, _dtype(leaf)) for path, leaf in wanted.items()}, where=directory)
    try:
        arrays = dict(zip(saved, load_arrays(directory / _ARRAYS), strict=True))
    except Exception as error:
        raise CheckpointError(f"{directory} cannot be read: {_reason(error)}") from error
    leaves = [_place(arrays[path], leaf) for path, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(abstract_tree), leaves)


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
    (partial / _MANIFEST).write_bytes(_seal(manifest))
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
    path = step_dir / _MANIFEST
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
    return {name: path for path in found if (name := path.relative_to(step_dir).as_posix()) != _MANIFEST}


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()} of {file.tell()} bytes"


def _folders(root: Path) -> list[str]:
    return [entry.name for entry in os.scandir(root) if entry.is_dir()] if root.is_dir() else []


def _reason(error: Exception) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0] or type(error).__name__
    return text if len(text) <= 300 else f"{text[:120]} ... {text[-170:]}"


def _named_leaves(tree: PyTree) -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = trees.whole_name(path)
        keys = [entry.key for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        if name in leaves or any(re.search("[./]", str(key)) for key in keys):
            raise ValueError(f"keys must be distinct and free of '.' and '/', got the leaf {name}")
        if not any(jnp.issubdtype(getattr(leaf, "dtype", object), kind) for kind in (np.number, np.bool_)):
            raise ValueError(f"every leaf must be an array of numbers, got {type(leaf).__name__} at {name}")
        if 0 in leaf.shape:
            raise ValueError(f"every leaf must have at least one element, got shape {leaf.shape} at {name}")
        leaves[name] = leaf
    if not leaves:
        raise ValueError("tree must have at least one leaf, got none")
    return leaves


def _host_arrays(tree: PyTree) -> dict[str, np.ndarray]:
    leaves = _named_leaves(tree)
    for name, leaf in leaves.items():
        if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
            raise ValueError(f"every leaf must be whole in this process, got {leaf.sharding} at {name}")
        if (dtype := np.dtype(leaf.dtype).name) not in DTYPES:
            raise ValueError(f"every leaf must have a dtype that checkpoints can hold, got {dtype} at {name}")
    return {name: np.asarray(leaf) for name, leaf in jax.device_get(leaves).items()}


def _dtype(leaf: Any) -> np.dtype:
    return leaf.dtype if isinstance(leaf, np.ndarray | np.generic) else jax.dtypes.canonicalize_dtype(leaf.dtype)


def _describe(shape: Sequence[int], dtype: Any) -> str:
    return f"{np.dtype(dtype).name} ({', '.join(map(str, shape))})"


def _compare(saved: dict[str, str], wanted: dict[str, str], *, where: Path) -> None:
    """Raises with one row for each leaf that is not on both sides alike."""
    rows = [("path", "saved", "wanted")]
    for path in [path for path in {**wanted, **saved} if saved.get(path) != wanted.get(path)]:
        close = difflib.get_close_matches(path, saved, n=1) if path not in saved else []
        rows.append(
            (path, saved.get(path, f"nothing, closest {close[0]}" if close else "nothing"), wanted.get(path, "nothing"))
        )
    if len(rows) > 1:
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = (f"{path:{widths[0]}} | {left:{widths[1]}} | {right}" for path, left, right in rows)
        raise CheckpointError(f"{where} does not fit:\n" + "\n".join(lines))


def _place(array: np.ndarray, leaf: Any) -> Any:
    if isinstance(leaf, np.ndarray | np.generic):
        return array
    if getattr(leaf, "sharding", None) is None or not getattr(leaf, "committed", True):
        return jax.device_put(array)
    with jax.transfer_guard_host_to_device("allow"):
        return jax.make_array_from_callback(array.shape, leaf.sharding, lambda index: array[index])
