"""Files of a run that hold valid JSON of the wrong shape, or a changed byte, are refused by name."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fjdl.errors import StorageError
from fjdl.train import documents, rundir
from fjdl.train.json_files import encode_json
from fjdl.train.rundir import environment, open_run

RESULT = {
    **dict.fromkeys(("data", "precision", "hardware", "command", "commit", "state"), "words"),
    **dict.fromkeys(("seed", "parameters", "best_step", "best_epoch", "epochs"), 3),
    "headline": "accuracy",
    "seconds": 0.25,
    "examples": {},
    "validation": {"loss": float("nan")},
    "test": {"accuracy": 0.5, "loss": float("inf"), "accuracy_interval": [0.25, 0.75], "count": 40},
}
QUANTIZED = {"step": 3, "state": "ab", "rows": [{"parameters": "int8 absmax", "accuracy": 0.5}]}
CONFIG = {"config": "configs/x.py", "sha256": "ab", "arguments": {"seed": 0}}

REPOSITORY = {"commit": "c0ffee", "dirty": False, "diff": ""}

Reader = Callable[[Path], Any]
SEALED: dict[str, tuple[dict[str, Any], Reader]] = {
    "result.json": (RESULT, documents.read_result),
    "quantized.json": (QUANTIZED, lambda path: documents.read_quantized(path, metric="accuracy")),
    "config.json": (CONFIG, lambda path: documents.read_sealed(path, documents.CONFIG)),
}


def opened(path: Path) -> Any:
    """The run directory around the file is opened, as before a training."""
    with open_run(path.parent, command=[], config=CONFIG) as run:
        return run


PLAIN: dict[str, tuple[Callable[[], dict[str, Any]], tuple[str, ...]]] = {
    "env.json": (environment, tuple(documents.ENVIRONMENT)),
    "git.json": (lambda: {**REPOSITORY}, tuple(documents.CODE)),
}
WRONG = (17, "words", [], [[]], {}, None, True, [{"a": 1}])


@pytest.fixture(autouse=True)
def _no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git is asked for nothing, which would take most of the time."""
    monkeypatch.setattr(rundir, "code_version", lambda: REPOSITORY)


def misshapen(value: dict[str, Any], fields: tuple[str, ...]) -> Iterator[Any]:
    """Other values of JSON, the object without one of the fields, and with something else in one."""
    yield from WRONG
    for name in fields:
        yield {key: item for key, item in value.items() if key != name}
        yield {**value, name: {"a": 1} if not isinstance(value[name], dict) else 17}
        yield {**value, name: [1]}
        yield {**value, name: True} if not isinstance(value[name], bool) else {**value, name: "true"}


def refused(read: Reader, path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(StorageError) as caught:
        read(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", SEALED)
def test_a_sealed_file_is_read_as_it_was_written_and_an_older_one_without_a_seal(name: str, tmp_path: Path) -> None:
    value, read = SEALED[name]
    documents.write_sealed(tmp_path / name, value)
    sealed = read(tmp_path / name)
    assert "checksum" in (tmp_path / name).read_text()
    assert "checksum" not in repr(sealed)
    (tmp_path / name).write_text(encode_json(value))
    assert repr(read(tmp_path / name)) == repr(sealed)


@pytest.mark.parametrize("name", SEALED)
def test_a_flipped_bit_in_each_byte_of_a_sealed_file_is_found_or_changes_nothing(name: str, tmp_path: Path) -> None:
    value, read = SEALED[name]
    path = tmp_path / name
    documents.write_sealed(path, value)
    content, whole = path.read_bytes(), repr(read(path))
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with contextlib.suppress(StorageError):
            assert repr(read(path)) == whole or b'"checksum"' not in changed, changed


@pytest.mark.parametrize("name", SEALED)
def test_a_sealed_file_of_the_wrong_shape_is_refused_with_and_without_a_seal(name: str, tmp_path: Path) -> None:
    value, read = SEALED[name]
    old_list = name == "quantized.json"  # older versions wrote the rows alone
    for wrong in misshapen(value, tuple(value)):
        if isinstance(wrong, list) and old_list and not wrong:
            continue
        refused(read, tmp_path / name, encode_json(wrong))
        if isinstance(wrong, dict):
            documents.write_sealed(tmp_path / name, wrong)
            refused(read, tmp_path / name, (tmp_path / name).read_bytes())


@pytest.mark.parametrize(
    "test",
    [{}, {"accuracy": "0.5"}, {"accuracy": 0.5, "accuracy_interval": [0.25], "count": 3},
     {"accuracy": 0.5, "accuracy_interval": [0.25, "1"], "count": 3}, {"accuracy": 0.5, "accuracy_interval": [0, 1]}],
)  # fmt: skip
def test_the_shown_numbers_of_a_result_are_numbers(test: dict[str, Any], tmp_path: Path) -> None:
    refused(documents.read_result, tmp_path / "result.json", encode_json({**RESULT, "test": test}))


@pytest.mark.parametrize("rows", [[17], [{}], [{"parameters": "int8", "accuracy": "high"}], [{"accuracy": 0.5}]])
def test_the_rows_of_a_quantization_have_their_fields(rows: list[Any], tmp_path: Path) -> None:
    read = SEALED["quantized.json"][1]
    refused(read, tmp_path / "quantized.json", encode_json(rows))
    refused(read, tmp_path / "quantized.json", encode_json({**QUANTIZED, "rows": rows}))


@pytest.mark.parametrize("name", PLAIN)
def test_a_record_of_the_surroundings_of_the_wrong_shape_is_refused_when_the_run_is_opened(
    name: str, tmp_path: Path
) -> None:
    opened(tmp_path / name)
    written = (tmp_path / name).read_bytes()
    make, fields = PLAIN[name]
    for wrong in misshapen(make(), fields):
        refused(opened, tmp_path / name, encode_json(wrong))
    (tmp_path / name).write_bytes(written)
    assert opened(tmp_path / name).warnings == ()


BROKEN = {
    "cut short": b'{"a": 1',
    "empty": b"",
    "not UTF-8": b'{"a": "\xff"}',
    "too deep": b"[" * 100_000,
    "NUL": b"\0",
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("name", [*SEALED, *PLAIN])
def test_what_is_no_json_is_refused(name: str, case: str, tmp_path: Path) -> None:
    opened(tmp_path / name)
    refused(SEALED[name][1] if name in SEALED else opened, tmp_path / name, BROKEN[case])


def test_a_command_that_is_not_utf_8_is_refused_when_the_run_is_opened(tmp_path: Path) -> None:
    opened(tmp_path / "command.txt")
    refused(opened, tmp_path / "command.txt", b"python \xff\xfe")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    opened(tmp_path / "env.json")
    for name in ("env.json", "git.json", "config.json", "command.txt"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        (tmp_path / name).mkdir()
        with pytest.raises(StorageError, match=name):
            opened(tmp_path / name)
        (tmp_path / name).rmdir()
        (tmp_path / name).write_bytes(content)


def test_a_checksum_is_that_of_the_content(tmp_path: Path) -> None:
    documents.write_sealed(tmp_path / "a.json", {"b": [1, 2.5, None], "a": "é"})
    content = json.loads((tmp_path / "a.json").read_text())
    expected = "fc10ba9755cfc69ce6c336075dcaa7bec5e27a5e3b43810a5952cd761f259a45"
    assert content["checksum"] == f"sha256 {expected}"
