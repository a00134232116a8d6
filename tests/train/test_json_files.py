import contextlib
import json
import math
import os
import resource
import zlib
from pathlib import Path

import numpy as np
import pytest

from fjdl.errors import StorageError
from fjdl.train import json_files


def test_records_come_back_in_order_with_non_finite_floats(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    records = [{"step": 1, "loss": 0.1}, {"step": 2, "loss": math.inf, "nested": [-math.inf, {"x": None}]}]
    for record in records:
        json_files.append_jsonl(path, record)
    assert json_files.read_jsonl(path) == records
    json_files.append_jsonl(path, {"step": 3, "loss": np.float32("nan")})
    assert math.isnan(json_files.read_jsonl(path)[-1]["loss"])


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    json_files.append_jsonl(
        path, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": np.float32(0.5), "e": np.arange(2)}
    )

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = json.loads(path.read_text(), parse_constant=refuse)
    told = {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 0.5, "e": [0, 1]}
    assert line == {**told, "crc32": f"{zlib.crc32((json.dumps(told) + chr(10)).encode()):08x}"}


def test_no_bit_of_a_record_changes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    record = {"step": 1, "loss": 0.25, "worst": math.inf, "state": "ab"}
    for _ in range(2):
        json_files.append_jsonl(path, record)
    content = path.read_bytes()
    for bit in range(8 * (content.index(b"\n") + 1)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(changed))
        with contextlib.suppress(StorageError):
            first, second = json_files.read_jsonl(path)
            assert second == record
            assert {name: value for name, value in first.items() if name in record} == record


def test_a_line_is_on_the_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    json_files.append_jsonl(tmp_path / "x", {"step": 1})
    assert sizes == [len('{"step": 1, "crc32": "01234567"}\n')]


@pytest.mark.parametrize("rest", [b'{"step": 2', b'{"step": 2}', b"\0\0\0", b"\xff"])
def test_a_last_line_cut_short_is_left_out(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + rest)
    assert json_files.read_jsonl(path) == [{"step": 1}]


def test_no_file_or_an_empty_one_holds_no_records(tmp_path: Path) -> None:
    assert json_files.read_jsonl(tmp_path / "absent") == []
    (tmp_path / "empty").touch()
    assert json_files.read_jsonl(tmp_path / "empty") == []


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"st\n{"step": 3}\n')
    for read in (json_files.read_jsonl, lambda path: json_files.truncate_after(path, 1)):
        with pytest.raises(StorageError, match=r"metrics\.jsonl is damaged in line 2"):
            read(path)


def test_after_a_resume_each_step_appears_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3, 4):
        json_files.append_jsonl(path, {"step": step, "value": 1 / 3, "bad": math.nan})
    first = path.read_bytes().split(b"\n")[:2]
    with path.open("ab") as file:
        file.write(b'{"step": 5, "val')
    json_files.truncate_after(path, 2)
    assert path.read_bytes() == b"\n".join([*first, b""])
    json_files.append_jsonl(path, {"step": 3})
    assert [record["step"] for record in json_files.read_jsonl(path)] == [1, 2, 3]
    assert [name.name for name in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_truncating_before_the_first_step_empties_and_a_missing_file_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    json_files.truncate_after(path, 0)
    assert not path.exists()
    json_files.append_jsonl(path, {"step": 1})
    json_files.truncate_after(path, 0)
    assert path.read_bytes() == b""


def test_a_full_disk_takes_no_earlier_line_and_leaves_no_part_of_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    json_files.append_jsonl(path, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"metrics\.jsonl cannot be written: only part of .* bytes fitted"):
            json_files.append_jsonl(path, {"step": 2, "text": "x" * 50})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert json_files.read_jsonl(path) == [{"step": 1}]
    assert path.read_bytes().count(b"\n") == 1


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "env.json").write_text("{")
    for name in ("env.json", "absent.json"):
        with pytest.raises(StorageError, match=f"{name} cannot be read"):
            json_files.read_json(tmp_path / name)
