"""Trained arrays by the names of a model's own: from runs, checkpoints, safetensors and files of PyTorch."""

import difflib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fjdl import tree
from fjdl.errors import CheckpointError, DataError, UsageError
from fjdl.train import checkpoint
from fjdl.train.array_files import load_tree
from fjdl.train.pretrained import Pretrained
from fjdl.transfer import Layout, load_safetensors, load_torch_pickle
from fjdl.transfer.layout import COUNTER, inward
from fjdl.typing import PyTree

Arrays = dict[str, np.ndarray]

_TORCH = (".pt", ".pth", ".th", ".bin", ".ckpt", ".tar")
_WRAPPERS = ("state_dict", "model_state_dict", "model", "model_ema")
_SHOWN = 5


class Weights(NamedTuple):
    """The arrays that a run begins with."""

    arrays: Arrays  # by paths such as `params/conv1/kernel` and `stats/batch_stats/norm/mean`
    path: Path  # of the file or folder that was read
    sha256: str  # of the file, or of the names and bytes of all files in the folder
    fresh: tuple[str, ...]  # paths of what is drawn


def weights_for(pretrained: Pretrained, params: PyTree, stats: PyTree) -> Weights:
    """The trained arrays for abstract parameters and statistics, in their shapes and dtypes.

    Raises `DataError` and `CheckpointError` for files that are missing or damaged, and `UsageError` for a rule of
    `fresh` that matches nothing, and, in one sentence, for all arrays that are missing, unexpected or of another shape.
    """
    wanted = _named({"params": params, "stats": stats})
    fresh = tuple(name for name in wanted if pretrained.draws(short(name)))
    idle = [rule for rule in pretrained.rules if not any(re.fullmatch(rule, short(name)) for name in fresh)]
    if idle:
        known = [short(name) for name in wanted if name.startswith("params/")]
        raise UsageError(f"every rule of fresh must match a parameter, but {idle} match none of {known}")
    path = _chosen(pretrained.place)
    found = _read(path)
    named = _ours(found, wanted) if pretrained.layout is None else _theirs(found, wanted, fresh, pretrained.layout)
    arrays = _fitting(named, {name: leaf for name, leaf in wanted.items() if name not in fresh}, set(fresh), path)
    return Weights(arrays, path, fingerprint(path), fresh)


def short(name: str) -> str:
    """The path of a parameter, or of a statistic without its collection, as users write it in rules."""
    return name.removeprefix("params/") if name.startswith("params/") else name.split("/", 2)[-1]


def fingerprint(path: Path) -> str:
    """The sha256 of a file, or of a folder: of the names and the sha256 of its files in order."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(each for each in path.rglob("*") if each.is_file())
    lines = (f"{each.relative_to(path).as_posix()} {fingerprint(each)}\n" for each in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _named(trees: PyTree) -> dict[str, Any]:
    return dict(zip(tree.names(trees), jax.tree.leaves(trees), strict=True))


def _chosen(path: Path) -> Path:
    """The file or folder that holds the arrays: of a run, the checkpoint of its best epoch."""
    if not path.exists():
        raise DataError(f"pretrained must be a file or a folder, got {path}, which does not exist")
    steps = path / "checkpoints"
    if not steps.is_dir():
        return path
    from fjdl.train.rundir import RunDirectory, finished

    if result := finished(RunDirectory(path=path)):
        return steps / str(result["best_step"])
    newest = checkpoint.latest_verified(steps, set_aside=False)
    if newest is None:
        raise CheckpointError(f"{path} holds no checkpoint yet, train it first")
    return steps / str(int(checkpoint.read_named(steps / str(newest))["best/step"]))


def _read(path: Path) -> Mapping[str, np.ndarray]:
    """All arrays of a file or folder by the names that they have there."""
    if path.is_dir():
        return _of_folder(path)
    if path.suffix == ".safetensors":
        return load_safetensors(path)
    if path.suffix in _TORCH:
        return _of_torch(path)
    known = ", ".join((".safetensors", *_TORCH))
    raise UsageError(f"pretrained must be a run, a checkpoint or a file that ends in {known}, got {path}")


def _of_folder(path: Path) -> Mapping[str, np.ndarray]:
    """Evaluated parameters and statistics of a checkpoint of fjdl; else the tree that orbax wrote."""
    if not (path / checkpoint.MANIFEST).exists():
        return _collections(_named(load_tree(path)))
    saved = checkpoint.read_named(path)
    averaged = any(name.startswith("ema/") for name in saved)
    source = "ema/" if averaged else "params/"
    parts = {name.replace(source, "params/", 1): x for name, x in saved.items() if name.startswith(source)}
    return parts | {name: x for name, x in saved.items() if name.startswith("stats/")}


def _of_torch(path: Path) -> Mapping[str, np.ndarray]:
    """The state dict of a file of PyTorch, without what wrappers such as DataParallel put before its names."""
    content: Any = load_torch_pickle(path)
    content = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), dict)), content)
    arrays = {name: array for name, array in content.items() if isinstance(array, np.ndarray)}
    if not arrays:
        raise DataError(f"{path} must hold a state dict, got {sorted(map(str, content))[:_SHOWN]}")
    for prefix in ("_orig_mod.", "module."):
        if all(name.startswith(prefix) for name in arrays):
            arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    return arrays


def _collections(found: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Names of a tree of Flax, `params/…` and `batch_stats/…`, as ours; a tree without `params` is all parameters."""
    if not any(name.startswith("params/") for name in found):
        return {f"params/{name}": array for name, array in found.items()}
    ours = ("params/", "stats/")
    return {name if name.startswith(ours) else f"stats/{name}": array for name, array in found.items()}


def _ours(found: Mapping[str, np.ndarray], wanted: Mapping[str, Any]) -> Arrays:
    """What a file holds under our names; paths of parameters and statistics without `params/` are understood too."""
    if any(name in wanted for name in found):
        return dict(found)
    full = {short(name): name for name in wanted}
    return {full.get(name, name): array for name, array in found.items()}


def _theirs(
    found: Mapping[str, np.ndarray], wanted: Mapping[str, Any], fresh: tuple[str, ...], layout: Layout
) -> Arrays:
    """What a file holds under the names of another library, by ours; what has no place keeps its own name."""
    keys = {layout.key(short(name)): name for name in wanted}
    named: Arrays = {}
    for key, tensor in found.items():
        name = keys.get(key, key)
        if name in wanted and name not in fresh:
            named[name] = _turned(name, tensor, wanted[name], layout)
        elif not key.endswith(COUNTER):
            named[name] = tensor
    return named


def _turned(name: str, tensor: np.ndarray, leaf: Any, layout: Layout) -> np.ndarray:
    """The tensor in our order of axes; one of another shape as it is, to be refused with all others."""
    try:
        return inward(short(name), tensor, leaf, layout)
    except (DataError, ValueError):
        return tensor


def _fitting(named: Mapping[str, np.ndarray], wanted: Mapping[str, Any], fresh: set[str], path: Path) -> Arrays:
    """The arrays that are wanted, in their dtypes; raises `UsageError` for all that do not fit, in one sentence."""
    missing = [name for name in wanted if name not in named]
    spare = [name for name in named if name not in wanted and name not in fresh]
    shapes = [name for name in wanted if name in named and named[name].shape != wanted[name].shape]
    if not (missing or spare or shapes):
        return {name: np.asarray(named[name]).astype(leaf.dtype) for name, leaf in wanted.items()}
    reasons = [
        _told("missing", [f"{short(name)}{_near(name, spare)}" for name in missing]),
        _told("unexpected", [short(name) if "/" in name else name for name in spare]),
        _told("of another shape", [f"{short(n)} {named[n].shape} for {tuple(wanted[n].shape)}" for n in shapes]),
    ]
    hint = "; fresh=(...) names what is to be drawn instead, such as a new head" if shapes or missing else ""
    raise UsageError(f"{path} must hold the weights of the model, got {'; '.join(filter(None, reasons))}{hint}")


def _told(what: str, names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}" if names else ""


def _near(name: str, spare: list[str]) -> str:
    close = difflib.get_close_matches(name, spare, n=1)
    return f" (did it become {short(close[0])}?)" if close else ""
