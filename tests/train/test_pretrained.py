"""A run that begins with trained weights: from which files, which are drawn, what is refused, and that it resumes."""

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from fjdl import tree
from fjdl.errors import CheckpointError, DataError, FjdlError, UsageError
from fjdl.nn import pure
from fjdl.train import Pretrained, fit
from fjdl.train.beginning import read_pretrained
from fjdl.train.resume import read_best
from fjdl.train.rundir import RunDirectory
from fjdl.train.weights import fingerprint, weights_for
from fjdl.transfer import Layout, save_safetensors
from tests.train.toy import Centred, devices, program, random_params, recipe

IMAGES = jnp.ones((1, 8, 8, 1))
LAYOUT = Layout(((r"logits", r"fc"), (r"mean", r"input")))
HEAD = "logits/.*"


@cache
def trees(classes: int = 10) -> tuple[Any, Any]:
    """Parameters and statistics of the network."""
    params = random_params(pure(Centred(classes)), IMAGES, seed=1)
    return params, {"batch_stats": {"mean": np.arange(64, dtype=np.float32)}}


def named(classes: int = 10) -> dict[str, np.ndarray]:
    params, stats = trees(classes)
    whole = {"params": params, "stats": stats}
    return dict(zip(tree.names(whole), jax.tree.leaves(whole), strict=True))


def found(path: Path, *, classes: int = 10, **options: Any) -> Any:
    """What is read for the network with so many classes."""
    return weights_for(Pretrained(path=path, **options), *trees(classes))


def same(arrays: Any) -> bool:
    wanted = named()
    return {name: x.tobytes() for name, x in arrays.items()} == {name: x.tobytes() for name, x in wanted.items()}


def test_a_safetensors_file_has_our_names(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_safetensors(path, {"params": trees()[0], "stats": trees()[1]})
    assert same(found(path).arrays)
    assert found(path).sha256 == fingerprint(path) != ""
    bare = tmp_path / "bare.safetensors"
    save_safetensors(bare, {**trees()[0], **trees()[1]["batch_stats"]})
    assert same(found(bare).arrays)


def test_half_precision_comes_back_in_the_dtype_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    halves = {name: x.astype(ml_dtypes.bfloat16) for name, x in named().items()}
    save_safetensors(path, halves)
    got = found(path).arrays["params/logits/kernel"]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, halves["params/logits/kernel"].astype(np.float32))


def test_names_of_pytorch_come_by_a_layout(tmp_path: Path) -> None:
    path, (params, stats) = tmp_path / "weights.safetensors", trees()
    theirs = {
        "fc.weight": np.ascontiguousarray(params["logits"]["kernel"].T),
        "fc.bias": params["logits"]["bias"],
        "input": stats["batch_stats"]["mean"],
        "bn.num_batches_tracked": np.int64(3) * np.ones((), np.int64),
    }
    save_safetensors(path, theirs)
    assert same(found(path, layout=LAYOUT).arrays)
    smaller = found(path, layout=LAYOUT, classes=3, fresh=HEAD)
    assert list(smaller.arrays) == ["stats/batch_stats/mean"]
    assert smaller.fresh == ("params/logits/bias", "params/logits/kernel")


def test_a_file_of_pytorch_is_read_without_its_wrappers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    params, stats = trees()
    theirs = {"fc.weight": params["logits"]["kernel"].T, "fc.bias": params["logits"]["bias"]}
    tensors = {**theirs, "input": stats["batch_stats"]["mean"]}
    path = tmp_path / "weights.pth"
    state = {f"module.{name}": torch.tensor(np.array(x)) for name, x in tensors.items()}
    torch.save({"epoch": 3, "state_dict": state}, path)
    assert same(found(path, layout=LAYOUT).arrays)


def test_a_folder_of_orbax_has_collections_of_flax(tmp_path: Path) -> None:
    import orbax.checkpoint as ocp

    params, stats = trees()
    with ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "flax", {"params": params, **stats})
        checkpointer.save(tmp_path / "alone", params)
    assert same(found(tmp_path / "flax").arrays)
    assert set(found(tmp_path / "alone", fresh="mean").arrays) == {"params/logits/bias", "params/logits/kernel"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs, without a config and with an average of its parameters."""
    path = tmp_path_factory.mktemp("base")
    fit(recipe(model=pure(Centred(10)), ema=0.5), path, devices=devices())
    return path


def test_a_run_gives_the_average_and_the_statistics_of_its_best_epoch(base: Path) -> None:
    made = recipe(model=pure(Centred(10)), ema=0.5)
    best = read_best(RunDirectory(path=base), jax.eval_shape(program(made).init), 4)
    arrays = found(base).arrays
    np.testing.assert_array_equal(arrays["params/logits/kernel"], best.ema["logits"]["kernel"])
    np.testing.assert_array_equal(arrays["stats/batch_stats/mean"], best.stats["batch_stats"]["mean"])
    assert found(base).path == base / "checkpoints" / str(int(best.step))
    assert found(base / "checkpoints" / str(int(best.step))).sha256 == found(base).sha256


def test_a_run_begins_with_them_and_goes_on_when_they_are_gone(base: Path, tmp_path: Path) -> None:
    weights, runs = tmp_path / "base", [RunDirectory(path=tmp_path / name) for name in ("whole", "broken")]
    shutil.copytree(base, weights)
    origin = Pretrained(path=weights, fresh="logits/bias")
    made = recipe(model=pure(Centred(10)), pretrained=origin, freeze="logits/kernel", epochs=2)
    wanted = found(base)
    begun = program(made).begin()
    np.testing.assert_array_equal(begun.params["logits"]["kernel"], wanted.arrays["params/logits/kernel"])
    assert not begun.params["logits"]["bias"].any()
    whole = fit(made, runs[0].path, devices=devices())
    np.testing.assert_array_equal(whole.params["logits"]["kernel"], wanted.arrays["params/logits/kernel"])
    told = read_pretrained(runs[0])
    assert told == {
        "path": str(weights / "checkpoints" / wanted.path.name),
        "sha256": wanted.sha256,
        "taken": 2,
        "fresh": ["params/logits/bias"],
    }
    shutil.copytree(runs[0].path, runs[1].path)
    shutil.rmtree(runs[1].path / "checkpoints" / "8")
    shutil.rmtree(weights)
    assert tree.digest(fit(made, runs[1].path, devices=devices())) == tree.digest(whole)
    with pytest.raises(DataError, match="pretrained must be a file or a folder"):
        fit(made, tmp_path / "another", devices=devices())


def test_a_run_that_draws_everything_says_nothing(base: Path) -> None:
    assert read_pretrained(RunDirectory(path=base)) is None


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a head of another size": (
        {},
        {"classes": 3},
        "must hold the weights of the model, got 2 of another shape: logits/bias (10,) for (3,), "
        "logits/kernel (64, 10) for (64, 3); fresh=(...) names what is to be drawn instead",
    ),
    "another name": (
        {"params/logits/kernel": None, "params/logit/kernel": np.ones((64, 10), np.float32)},
        {},
        "got 1 missing: logits/kernel (did it become logit/kernel?); 1 unexpected: logit/kernel; fresh=(...)",
    ),
    "one more": ({"params/aux/bias": np.ones(1, np.float32)}, {}, "got 1 unexpected: aux/bias"),
    "a rule without a match": (
        {},
        {"fresh": ("head/.*",)},
        "every rule of fresh must match a parameter, but ['head/.*']",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_told_in_one_sentence(case: str, tmp_path: Path) -> None:
    changes, options, message = REFUSED[case]
    arrays = {name: x for name, x in {**named(), **changes}.items() if x is not None}
    save_safetensors(tmp_path / "weights.safetensors", arrays)
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        found(tmp_path / "weights.safetensors", **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("weights.h5", b"x", "pretrained must be a run, a checkpoint or a file that ends in .safetensors, .pt"),
        ("weights.safetensors", b"x", "must be a readable safetensors file"),
        ("weights.pth", b"x", "weights.pth: a pickle of plain data must not need the opcode 0x78"),
    ],
)
def test_files_of_no_use_are_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FjdlError, match=re.escape(message)):
        found(tmp_path / name)


def test_a_damaged_checkpoint_is_refused(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "base")
    step = found(base).path.name
    manifest = tmp_path / "base" / "checkpoints" / step / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "step": 1}))
    with pytest.raises(CheckpointError, match="is damaged"):
        found(manifest.parent)


def test_the_fingerprint_is_that_of_the_bytes(tmp_path: Path) -> None:
    import hashlib

    (tmp_path / "a").write_bytes(b"weights")
    assert fingerprint(tmp_path / "a") == hashlib.sha256(b"weights").hexdigest()
    line = f"a {hashlib.sha256(b'weights').hexdigest()}\n"
    assert fingerprint(tmp_path) == hashlib.sha256(line.encode()).hexdigest()
