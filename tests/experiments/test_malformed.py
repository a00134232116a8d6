"""Wrong input ends with the right status and one sentence, and damages nothing."""

import dataclasses
import gzip
import hashlib
from pathlib import Path

import pytest

from fjdl.data import files, mnist
from tests.experiments.conftest import FLAGS
from tests.experiments.support import DATA, STORAGE, USAGE, Command, sentence, snapshot

ALTERED = """
import dataclasses
from configs.digits_logistic import recipe as original

def recipe(*, seed: int = 0, accumulate: int = 1, save_every: int = 1, ema: float = 0.9, monitor: str = "accuracy"):
    changes = {"accumulate": accumulate, "save_every": save_every, "ema": ema, "monitor": monitor}
    return dataclasses.replace(original(seed=seed), **changes)
"""


CONFIGS = {
    "empty.py": "",
    "constant.py": "recipe = 3",
    "syntax.py": "def recipe(:",
    "raising.py": "raise RuntimeError('first line\\nsecond line')",
    "importing.py": "import no_such_package",
    "number.py": "def recipe(*, seed: int = 0): return 3",
    "refusing.py": "def recipe(*, seed: int = 0): raise ValueError('depth must be positive, got 0')",
    "altered.py": ALTERED,
    "config.txt": "def recipe(): ...",
}
SENTENCES = {
    "no config": ("train {tmp}/none.py", "config {tmp}/none.py does not exist"),
    "no such folder": ("train {tmp}/no/none.py", "no such folder"),
    "a folder as config": ("train {tmp}/folder.py", "does not exist"),
    "not Python": ("train {tmp}/config.txt", "a config is needed, such as configs/digits_lenet.py"),
    "no recipe": ("train {tmp}/empty.py", "must define a function recipe("),
    "recipe is no function": ("train {tmp}/constant.py", "must define a function recipe("),
    "syntax error": ("train {tmp}/syntax.py", "SyntaxError: invalid syntax (syntax.py, line 1)"),
    "config raises": ("train {tmp}/raising.py", "RuntimeError: first line second line"),
    "config imports what is not there": ("train {tmp}/importing.py", "No module named 'no_such_package'"),
    "recipe returns something else": ("train {tmp}/number.py", "must return a Recipe, got int"),
    "recipe refuses": ("train {tmp}/refusing.py", "depth must be positive, got 0"),
    "no epochs": ("train {digits} --epochs 0", "epochs must be at least 1, got 0"),
    "negative epochs": ("train {digits} --epochs -3", "epochs must be at least 1, got -3"),
    "empty batch": ("train {digits} --batch-size 0", "batch_size must be at least 1, got 0"),
    "batch and devices": ("train {digits} --batch-size 12", "must be a multiple of the 8 devices, got 12"),
    "negative seed": ("train {digits} --seed -1", "seed must lie in [0, 2**32), got -1"),
    "seed too large": ("train {digits} --seed 4294967296", "seed must lie in [0, 2**32), got 4294967296"),
    "no patience": ("train {digits} --patience 0", "patience must be at least 1, got 0"),
    "accumulate": ("train {tmp}/altered.py --accumulate 3", "multiple of accumulate, got 64 and 3"),
    "no accumulation": ("train {tmp}/altered.py --accumulate 0", "accumulate must be at least 1, got 0"),
    "never saving": ("train {tmp}/altered.py --save-every 0", "save_every must be at least 1, got 0"),
    "average": ("train {tmp}/altered.py --ema 1", "ema must lie in [0, 1), got 1.0"),
    "monitor": ("train {tmp}/altered.py --monitor speed", "monitor must be one of"),
    "dropout": ("train configs/digits_lenet.py --dropout 1.5", "rate must lie in [0, 1], got 1.5"),
    "dropout NaN": ("train configs/digits_lenet.py --dropout nan", "rate must lie in [0, 1], got nan"),
    "shift": ("train configs/digits_lenet.py --shift -1", "most must not be negative, got -1"),
    "weight decay": ("train configs/breast_cancer_logistic.py --weight-decay nan", "weight_decay must not be negative"),
    "dry run": ("train configs/digits_lenet.py --dry-run --batch-size 12", "multiple of the 8 devices, got 12"),
    "evaluate no folder": ("evaluate {tmp}/none", "{tmp}/none is not a run directory: it has no config.json"),
    "evaluate no run": ("evaluate {tmp}", "{tmp} is not a run directory: it has no config.json"),
    "plot no run": ("plot {tmp}", "{tmp} is not a run directory"),
    "quantize no run": ("quantize {tmp}", "{tmp} is not a run directory"),
    "one bit": ("quantize {tmp} --bits 1", "bits must lie in [2, 8], got 1"),
    "nine bits": ("quantize {tmp} --bits 9", "bits must lie in [2, 8], got 9"),
    "no inputs in a group": ("quantize {tmp} --group 0", "group must be at least 1, got 0"),
    "one bit of inputs": ("quantize {tmp} --input-bits 1", "input_bits must lie in [2, 8], got 1"),
    "nine bits at the edges": ("quantize {tmp} --edges 9", "edges must lie in [2, 8], got 9"),
    "no example calibrated": ("quantize {tmp} --calibrate 0", "calibrate must be at least 1, got 0"),
    "no timed batch": ("quantize {tmp} --repeats 0", "repeats must be at least 1, got 0"),
    "no example timed": ("quantize {tmp} --batch-size 0", "batch_size must be at least 1, got 0"),
    "report of nothing": ("report", "report needs at least one run directory, got none"),
    "report of no run": ("report {tmp}", "{tmp} has no result.json, so it is no finished run"),
}  # fmt: skip


BOXES = {
    "typo": ("train {digits} --learning-ratee 0.1", ["--learning-ratee", "Perhaps you meant", "--learning-rate FLOAT"]),
    "typo in an option": ("train {digits} --dry-rum", ["--dry-rum", "Perhaps you meant", "--dry-run"]),
    "word for a number": ("train {digits} --epochs many", ["--epochs", "'many'"]),
    "fraction for an integer": ("train {digits} --batch-size 1.5", ["--batch-size", "'1.5'"]),
    "nothing for a number": ("train {digits} --epochs", ["--epochs", "Missing value"]),
    "precision": ("train {digits} --precision float8", ["--precision", "'float8'", "'bfloat16'"]),
    "unknown word": ("train {digits} extra", ["Unrecognized options: extra"]),
    "no config": ("train", ["PATH", "The config file"]),
    "part": ("evaluate {tmp} --part dev", ["--part", "'dev'", "'validation'"]),
    "bits": ("quantize {tmp} --bits few", ["--bits", "'few'"]),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configs, and a folder that looks like one."""
    for name, text in CONFIGS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder.py").mkdir()
    return tmp_path


def filled(line: str, folder: Path) -> list[str]:
    """The words of a command line; a new run would lie in `folder`."""
    words = line.format(tmp=folder, digits="configs/digits_logistic.py").split()
    return [*words, "--run-dir", str(folder / "run")] if words[0] == "train" and len(words) > 1 else words


@pytest.mark.parametrize("case", SENTENCES)
def test_wrong_usage_ends_with_status_2_and_one_sentence_and_writes_nothing(
    case: str, folder: Path, command: Command
) -> None:
    line, expected = SENTENCES[case]
    before = snapshot(folder)
    outcome = command(*filled(line, folder))
    assert outcome.status == USAGE
    assert expected.format(tmp=folder) in sentence(outcome)
    assert [line for line in outcome.out.splitlines() if not line.startswith("training ")] == []  # its first line
    assert snapshot(folder) == before
    assert not (folder / "run").exists()


@pytest.mark.parametrize("case", BOXES)
def test_a_wrong_flag_ends_with_status_2_and_names_it(case: str, folder: Path, command: Command) -> None:
    line, expected = BOXES[case]
    before = snapshot(folder)
    outcome = command(*filled(line, folder))
    assert outcome.status == USAGE
    assert all(word in outcome.err for word in expected), outcome.err
    assert "Traceback" not in outcome.err
    assert snapshot(folder) == before


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_a_learning_rate_that_is_none_is_refused(value: str, tmp_path: Path, command: Command) -> None:
    flags = ("--epochs", "1", "--learning-rate", value, "--run-dir", tmp_path / "run")
    outcome = command("train", "configs/iris_mlp.py", *flags)
    assert outcome.status == USAGE
    assert value in sentence(outcome)


def test_a_negative_width_is_refused(tmp_path: Path, command: Command) -> None:
    outcome = command("train", "configs/iris_mlp.py", "--hidden", "-5", "--run-dir", tmp_path / "run")
    assert outcome.status == USAGE
    assert "-5" in sentence(outcome)


def test_a_file_where_the_run_directory_should_be_is_kept(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "run"
    path.write_text("precious")
    outcome = command("train", *FLAGS, "--run-dir", path)
    assert outcome.status == STORAGE
    assert f"run directory {path} cannot be written" in sentence(outcome)
    assert path.read_text() == "precious"


def test_a_file_in_place_of_the_parent_folder_is_kept(tmp_path: Path, command: Command) -> None:
    (tmp_path / "parent").write_text("precious")
    outcome = command("train", *FLAGS, "--run-dir", tmp_path / "parent" / "run")
    assert outcome.status == STORAGE
    assert "cannot be written: Not a directory" in sentence(outcome)
    assert (tmp_path / "parent").read_text() == "precious"


def damaged_images(kind: str) -> bytes:
    """Bytes in the place of MNIST's gzipped training images."""
    header = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (2, 28, 28))
    return {
        "garbage": b"garbage",
        "truncated gzip": gzip.compress(header + bytes(2 * 28 * 28))[:-9],
        "wrong magic number": gzip.compress(b"\1\2" + header[2:] + bytes(2 * 28 * 28)),
        "too few pixels": gzip.compress(header + bytes(28 * 28)),
        "wrong size of the images": gzip.compress(header[:-1] + b"\x1b" + bytes(2 * 28 * 27)),
    }[kind]


@pytest.mark.parametrize("kind", ["garbage", "truncated gzip", "wrong magic number"])
def test_data_that_are_not_the_official_ones_are_refused_and_kept(
    kind: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place_images(damaged_images(kind), tmp_path, monkeypatch)
    before = snapshot(tmp_path)
    outcome = command("train", "configs/mnist_lenet.py", "--run-dir", tmp_path / "run")
    assert outcome.status == DATA
    assert f"{path} must have 9912422 bytes" in sentence(outcome)
    assert snapshot(tmp_path) == before


def test_data_of_the_right_size_and_the_wrong_hash_are_refused(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place_images(bytes(9_912_422), tmp_path, monkeypatch)
    outcome = command("train", "configs/mnist_lenet.py", "--run-dir", tmp_path / "run")
    assert outcome.status == DATA
    assert f"{path} must have sha256 440fcabf" in sentence(outcome)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("garbage", "must be readable gzip"),
        ("truncated gzip", "must be complete"),
        ("wrong magic number", "must begin with two zero bytes"),
        ("too few pixels", "1568 bytes of values must follow"),
        ("wrong size of the images", "images must be uint8[n, 28, 28]"),
    ],
)
def test_data_with_a_trusted_hash_are_still_parsed_without_trust(
    kind: str, words: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = damaged_images(kind)
    place_images(content, tmp_path, monkeypatch)
    trusted = [
        dataclasses.replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for file in mnist.MNIST_FILES
    ]
    for file in trusted[1:]:
        (tmp_path / "data" / "mnist" / file.name).write_bytes(content)
    monkeypatch.setattr(mnist, "MNIST_FILES", tuple(trusted))
    outcome = command("train", "configs/mnist_lenet.py", "--run-dir", tmp_path / "run")
    assert outcome.status == DATA
    assert words in sentence(outcome)


def place_images(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sets FJDL_DATA_DIR to a folder whose training images are these bytes."""
    path = tmp_path / "data" / "mnist" / "train-images-idx3-ubyte.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("FJDL_DATA_DIR", str(tmp_path / "data"))
    return path


def test_data_that_are_nowhere_are_asked_for(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(files, "search_path", lambda data_dir=None: [tmp_path / "cache"])
    nowhere = [dataclasses.replace(file, urls=("http://127.0.0.1:9/file",)) for file in mnist.MNIST_FILES]
    monkeypatch.setattr(mnist, "MNIST_FILES", tuple(nowhere))
    outcome = command("train", "configs/mnist_lenet.py", "--run-dir", tmp_path / "run")
    assert outcome.status == DATA
    assert "cannot download train-images-idx3-ubyte.gz: put the file of 9912422 bytes" in sentence(outcome)
    assert f"into {tmp_path / 'cache' / 'mnist'}" in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_report_without_its_markers_is_refused_and_unchanged(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    path = tmp_path / "results.md"
    path.write_text("# Mine\n")
    outcome = command("report", trained_run, "--write", path)
    assert outcome.status == USAGE
    assert f"{path} must contain the lines" in sentence(outcome)
    assert path.read_text() == "# Mine\n"


def test_a_report_over_a_folder_is_refused(trained_run: Path, tmp_path: Path, command: Command) -> None:
    outcome = command("report", trained_run, "--write", tmp_path)
    assert outcome.status == STORAGE
    assert f"{tmp_path} cannot be" in sentence(outcome)


def test_a_damaged_result_is_named(tmp_path: Path, command: Command) -> None:
    (tmp_path / "result.json").write_text("{")
    outcome = command("report", tmp_path)
    assert outcome.status == STORAGE
    assert f"{tmp_path / 'result.json'} cannot be read" in sentence(outcome)


@pytest.mark.by_day_on_pin(1)
def test_a_corrected_command_may_use_the_directory_of_a_refused_one(tmp_path: Path, command: Command) -> None:
    flags = ("configs/iris_mlp.py", "--epochs", "1", "--run-dir", tmp_path / "run")
    assert command("train", *flags, "--batch-size", "12").status == USAGE
    assert command("train", *flags, "--batch-size", "16").status == 0
