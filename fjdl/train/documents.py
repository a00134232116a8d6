"""JSON files of a run that say of themselves whether they are whole, and are checked for their shape when read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from fjdl.errors import StorageError
from fjdl.files import write_atomically
from fjdl.train.json_files import encode_json, plain, read_json
from fjdl.train.summary import INTERVAL, RANGE

Fields = Mapping[str, type | UnionType]

NUMBER = int | float
CONFIG: Fields = {"config": str, "sha256": str, "arguments": dict}
ENVIRONMENT: Fields = {"backend": str, "device_kind": str, "device_count": int, "cpu_count": int | None}
CODE: Fields = {"commit": str | None, "dirty": bool | None, "diff": str | None}
RESULT: Fields = (
    dict.fromkeys(("data", "headline", "precision", "hardware", "command", "state"), str)
    | dict.fromkeys(("seed", "parameters", "best_step", "best_epoch", "epochs"), int)
    | dict.fromkeys(("examples", "validation", "test"), dict)
    | {"seconds": NUMBER, "commit": str | None}
)
DATA: Fields = {
    "name": str, "classes": list, "examples": dict, "arrays": dict, "steps_per_epoch": int, "reader": dict | None
}  # fmt: skip
PRETRAINED: Fields = {"path": str, "sha256": str, "taken": int, "fresh": list}
QUANTIZED: Fields = {"step": int, "state": str, "rows": list}

_CHECKSUM = "checksum"
_SEAL = "# sha256 of the text above: "


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Replaces the file by the value as a JSON object with a checksum of its own, at once and durably."""
    content = plain(value)
    write_atomically(path, encode_json({**content, _CHECKSUM: _checksum(content)}, indent=2))


def read_sealed(path: Path, fields: Fields) -> dict[str, Any]:
    """What `write_sealed` wrote, without the checksum; a file of an older version has none, only its shape is checked.

    Raises `StorageError` naming the file that cannot be read, that lacks one of `fields` or has another type there,
    or that does not match its checksum.
    """
    value = read_object(path, fields)
    checksum = value.pop(_CHECKSUM, None)
    if checksum is not None and checksum != _checksum(plain(value)):
        raise StorageError(f"{path} is damaged: its content does not match its checksum")
    return value


def read_result(path: Path) -> dict[str, Any]:
    """A run's final numbers, with those that are shown of the types that they must have; raises as `read_sealed`."""
    result = read_sealed(path, RESULT)
    test = checked(result["test"], {result["headline"]: NUMBER}, where=f"{path}, test,")
    for name in test:
        if name.endswith((INTERVAL, RANGE)):
            checked(test, {name: list, "count": int}, where=f"{path}, test,")
            if [is_a(bound, NUMBER) for bound in test[name]] != [True, True]:
                raise StorageError(f"{path} must have two numbers as {name}, got {test[name]}")
    return result


def read_quantized(path: Path, *, metric: str) -> tuple[str | None, list[dict[str, Any]]]:
    """The digest of the state that was quantized, None in a file of an older version, and a row for each form of it."""
    whole = read_json(path)
    sealed = {"state": None, "rows": whole} if isinstance(whole, list) else read_sealed(path, QUANTIZED)
    fields: Fields = {"parameters": str, metric: NUMBER}
    return sealed["state"], [checked(row, fields, where=f"a row of {path}") for row in sealed["rows"]]


def read_object(path: Path, fields: Fields) -> dict[str, Any]:
    """The JSON object in a file; raises `StorageError` naming the file unless it has all `fields`, of their types."""
    return checked(read_json(path), fields, where=str(path))


def read_text(path: Path) -> str:
    """The text of a file in UTF-8; raises `StorageError` naming a file that cannot be read or holds none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error


def sealed_text(text: str) -> str:
    """A text of Python with a comment behind it that has its sha256."""
    body = text if text.endswith("\n") else f"{text}\n"
    return f"{body}{_SEAL}{hashlib.sha256(body.encode()).hexdigest()}\n"


def read_sealed_text(path: Path) -> str:
    """What `sealed_text` made; raises `StorageError` naming a file that is not as it was written."""
    body, mark, digest = read_text(path).rpartition(_SEAL)
    if not mark or digest != f"{hashlib.sha256(body.encode()).hexdigest()}\n":
        raise StorageError(f"{path} is damaged: its text does not match the sha256 at its end")
    return body


def read_command(path: Path) -> str:
    """The line of command.txt; raises `StorageError` for a file that is not as it was written.

    The file of an older version has no sha256, and one line.
    """
    text = read_text(path)
    if _SEAL in text:
        return read_sealed_text(path).strip()
    if len(text.splitlines()) != 1:
        raise StorageError(f"{path} is damaged: it must hold one command")
    return text.strip()


def checked(value: Any, fields: Fields, *, where: str) -> dict[str, Any]:
    """The value, if it is an object that has these fields with values of these types; a boolean is no number."""
    if not isinstance(value, dict):
        raise StorageError(f"{where} must hold a JSON object, got {_short(value)}")
    for name, kind in fields.items():
        if name not in value:
            raise StorageError(f"{where} must have the field {name!r}, got {_short(sorted(value))}")
        if not is_a(value[name], kind):
            wanted = kind.__name__ if isinstance(kind, type) else str(kind)
            raise StorageError(f"{where} must have {name!r} of type {wanted}, got {_short(value[name])}")
    return value


def is_a(value: Any, kind: type | UnionType) -> bool:
    """`isinstance`, but a boolean is no integer."""
    return isinstance(value, kind) and (not isinstance(value, bool) or bool in (get_args(kind) or (kind,)))


def _checksum(content: Any) -> str:
    return f"sha256 {hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"


def _short(value: Any) -> str:
    text = encode_json(value).strip()
    return text if len(text) <= 80 else f"{text[:77]}..."
