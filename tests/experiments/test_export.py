"""A run as files: the program runs without fjdl and gives what the run's evaluation gives; weights and card agree."""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from safetensors.numpy import load_file

from experiments.evaluate import LoadedRun, load_run
from experiments.exports.folder import together
from experiments.exports.program import largest_difference, plain_tree, portable
from experiments.predictions.base import variables_of
from fjdl.errors import UsageError
from fjdl.model import Model
from fjdl.quant import absmax_quantize, dequantize
from fjdl.train.json_files import read_json
from tests.experiments import support
from tests.experiments.support import USAGE, Command, sentence, snapshot, unfinished
from tests.train.toy import recipe

pytest.importorskip("flatbuffers", reason="jax.export writes with flatbuffers, of the extra `export`")

# The example of the page, and two batches of other sizes through the same file.
PROGRAM = """
import sys
import numpy as np
from jax import export
exec(sys.argv[1])
assert outputs.shape == (2, 10)
images = np.load("images.npy")
assert set(model.platforms) == {"cpu", "cuda", "tpu"}
np.savez("outputs.npz", few=model.call(image=images[:3]), all=model.call(image=images))
assert not {"fjdl", "flax", "experiments"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def folder(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's files."""
    out = tmp_path_factory.mktemp("exported") / "deeper" / "out"
    before = snapshot(trained_run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["export.py", str(trained_run), "--out", str(out)])
        assert support.invoke("export") == 0
    assert snapshot(trained_run) == before
    return out


@pytest.fixture(scope="module")
def loaded(trained_run: Path, private_folders: None) -> LoadedRun:
    return load_run(trained_run)


def images(run: LoadedRun) -> np.ndarray:
    return run.splits.test.element(np.arange(run.splits.test.length))["image"]


@pytest.mark.by_day_on_pin(0)
def test_a_fresh_process_without_fjdl_computes_what_the_evaluation_does(
    folder: Path, loaded: LoadedRun, tmp_path: Path
) -> None:
    for name in ("model.jax_export", "model.safetensors"):
        shutil.copy(folder / name, tmp_path)
    np.save(tmp_path / "images.npy", images(loaded))
    [block] = re.findall(r"```python\n(import numpy.*?)```", (folder / "README.md").read_text(), flags=re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, block], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = np.load(tmp_path / "outputs.npz")
    expected = loaded.program.evaluator.predict(*variables_of(loaded), loaded.splits.test)
    np.testing.assert_allclose(found["all"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["few"], expected[:3], rtol=1e-5, atol=1e-5)
    weights = load_file(tmp_path / "model.safetensors")
    assert weights.keys() == {"params/logits/kernel", "params/logits/bias"}
    by_hand = images(loaded).reshape(-1, 64) / 16 @ weights["params/logits/kernel"] + weights["params/logits/bias"]
    np.testing.assert_allclose(found["all"], by_hand, rtol=1e-4, atol=1e-4)


def test_the_card_says_what_the_run_recorded(folder: Path, trained_run: Path) -> None:
    card, result = read_json(folder / "card.json"), read_json(trained_run / "result.json")
    assert card["results"]["test"] == result["test"]
    assert card["data"] == {"name": "digits", "examples": result["examples"], "classes": list("0123456789")}
    program, training = card["program"], card["training"]
    image = {"shape": ["batch", 8, 8, 1], "dtype": "uint8", "lowest": 0, "highest": 16, "seen": 1168}
    assert program["inputs"] == {"image": image}
    assert program["outputs"] == {"outputs": {"shape": ["batch", 10], "dtype": "float32"}}
    assert program["difference"]["largest"] < 1e-5
    assert (training["command"], training["commit"]) == (result["command"], result["commit"])
    assert training["config_sha256"] == read_json(trained_run / "config.json")["sha256"]
    text = (folder / "README.md").read_text()
    low, high = result["test"]["accuracy_interval"]
    assert f"| test | accuracy | {result['test']['accuracy']:.4f} | {low:.4f} to {high:.4f} | 360 |" in text
    assert training["config_text"] == Path("configs/digits_logistic.py").read_text()
    assert training["config_text"] in text
    assert not training["config_changed_since"]
    for name, told in card["files"].items():
        content = (folder / name).read_bytes()
        assert told == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.by_day_on_pin(1)
def test_quantized_kernels_are_small_in_both_files_and_mean_the_same(
    trained_run: Path, loaded: LoadedRun, tmp_path: Path, command: Command
) -> None:
    flags = ("--quantized", "--bits", 4, "--answers", "--platforms", "cpu", "--batch-size", 2, "--license", "mit")
    done = command("export", trained_run, "--out", tmp_path, *flags)
    assert done.status == 0, done.err
    model = export.deserialize(bytearray((tmp_path / "model.jax_export").read_bytes()))
    assert model.platforms == ("cpu",)
    assert "64x5xui8" in model.mlir_module()
    assert "64x10xf32>) -> ()" not in model.mlir_module()
    weights = load_file(tmp_path / "model.safetensors")
    packed, scale = weights["params/logits/kernel/values"], weights["params/logits/kernel/scale"]
    fields = np.concatenate([packed & 15, packed >> 4], axis=-1)
    kernel = (fields.astype(np.float32) - 8) * scale
    params = loaded.state.params["logits"]
    np.testing.assert_array_equal(kernel, dequantize(absmax_quantize(params["kernel"], bits=4, axis=-1)))
    few = images(loaded)[:2]
    found = model.call(image=few)
    logits = few.reshape(2, 64) / 16 @ kernel + weights["params/logits/bias"]
    np.testing.assert_allclose(found["outputs"], logits, rtol=1e-4, atol=1e-4)
    expected = np.exp(logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True))
    np.testing.assert_allclose(found["probabilities"], expected, rtol=1e-4, atol=1e-5)
    card = read_json(tmp_path / "card.json")
    form = {"bits": 4, "shape": [64, 10], "packed": True}
    assert card["quantization"]["arrays"] == {"params/logits/kernel": form}
    whole = images(loaded).reshape(-1, 64) / 16 @ kernel + weights["params/logits/bias"]
    labels = loaded.splits.test.element(np.arange(360))["label"]
    assert card["quantization"]["test"]["accuracy"] == pytest.approx(np.mean(whole.argmax(axis=-1) == labels), abs=1e-6)
    assert (tmp_path / "README.md").read_text().startswith("---\nlicense: mit\n")


def test_files_are_not_written_over_unless_asked(folder: Path, trained_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    for name in ("mine.txt", "a", "card"):
        (target / name).write_text("old")

    def write(failing: bool) -> None:
        with together(target, last="card") as stage:
            (stage / "a").write_text("new")
            (stage / "card").write_text("new")
            if failing:
                raise UsageError("in between")

    with pytest.raises(UsageError, match="in between"):
        write(failing=True)
    assert {path.read_text() for path in target.iterdir()} == {"old"}
    write(failing=False)
    assert {path.name: path.read_text() for path in target.iterdir()} == {"mine.txt": "old", "a": "new", "card": "new"}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--platforms", "cpu", "metal"), "platforms must be some of cpu, cuda, tpu, each once, got cpu, metal"),
        (("--platforms", "cpu", "cpu"), "platforms must be some of cpu, cuda, tpu, each once, got cpu, cpu"),
        (("--batch-size", 0), "batch_size must be at least 1, got 0"),
        (("--quantized", "--bits", 9), "bits must lie in [2, 8], got 9"),
        (("--out", "{folder}"), "{folder} is not empty; --overwrite replaces its files, --out names another folder"),
        (("--out", "README.md"), "README.md must be a folder or nothing, got a file"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    trained_run: Path, folder: Path, command: Command, flags: tuple[Any, ...], message: str
) -> None:
    before = snapshot(folder)
    refused = command("export", trained_run, *(str(flag).format(folder=folder) for flag in flags))
    assert (refused.status, sentence(refused)) == (USAGE, message.format(folder=folder))
    assert snapshot(folder) == before
    assert not (trained_run / "export").exists()


def test_a_run_that_has_not_ended_is_refused(trained_run: Path, tmp_path: Path, command: Command) -> None:
    run = unfinished(trained_run, tmp_path / "run")
    refused = command("export", run)
    assert refused.status == USAGE
    assert sentence(refused) == f"{run} is not finished: it has no result.json; the command in command.txt goes on"


def test_without_flatbuffers_it_says_how_they_are_installed(
    trained_run: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flatbuffers" else find(name))
    refused = command("export", trained_run)
    assert refused.status == USAGE
    assert sentence(refused).endswith("is not installed: pip install 'fjdl[export]'")


class Pair(NamedTuple):
    first: Any
    second: Any


def of(function: Callable[[Any], Any], **options: Any) -> Any:
    """The program of a function of images in place of a network."""
    model = Model(lambda key, x: ({}, {}), lambda p, s, x, **_: (function(x), s))
    example = {"image": np.zeros((2, 2), np.uint8), "label": np.int64(0)}
    made = recipe(model=model, inputs=lambda batch: batch["image"] / 2)
    return portable(made, {}, {}, example, **{"platforms": ("cpu",), "answers": False, "batch_size": None, **options})


def test_named_tuples_become_dictionaries_and_arrays_that_are_not_used_are_not_asked_for() -> None:
    made = of(lambda x: Pair(x[:, 0], [x.sum(axis=(1, 2)), None]))
    assert list(made.inputs) == ["image"]
    found = made.call(image=jnp.full((3, 2, 2), 4, jnp.uint8))
    assert found["first"].tolist() == [[2, 2]] * 3
    assert found["second"][0].tolist() == [8, 8, 8]


def test_networks_that_cannot_be_exported_are_refused() -> None:
    with pytest.raises(UsageError, match=r"the network cannot be exported: .*; --batch-size exports it for batches"):
        of(lambda x: x.reshape(int(x.shape[0]), 4))
    assert of(lambda x: x.reshape(int(x.shape[0]), 4), batch_size=2).outputs.shape == (2, 4)
    with pytest.raises(UsageError, match="must depend on its data to be exported, got some that do not"):
        of(lambda x: jnp.zeros(3))
    with pytest.raises(UsageError, match="dicts, lists, tuples and named tuples of them, to be exported, got Partial"):
        plain_tree({"a": _partial()})


def _partial() -> Any:
    from jax.tree_util import Partial

    return Partial(jnp.add, jnp.ones(2))


def test_differences_count_nan_as_equal_and_other_shapes_as_infinite() -> None:
    nan = float("nan")
    assert largest_difference({"a": [np.array([1.0, nan])]}, {"a": [np.array([1.5, nan])]}) == 0.5
    assert np.isnan(largest_difference(np.array([nan]), np.array([1.0])))
    assert largest_difference(np.ones(2), np.ones(3)) == float("inf")
    assert json.dumps(largest_difference([], [])) == "0.0"
