"""Predicted efficiencies, by hand and beside published times."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.compiled.network import LINKS, SHAPES, Links, Shape, exchange, links_of
from experiments.compiled.scaling import predicted, read, rows, seconds_of, write
from fjdl.errors import UsageError

V5E = LINKS["v5e"]


def test_a_pod_has_the_all_reduce_bandwidth_that_its_page_names() -> None:
    """51.2 TB/s for 256 chips: each of them reduces 200 GB of a second's 2 x 255 / 256 bytes each way."""
    found = exchange("all-reduce", 1e9, SHAPES[256], V5E)
    assert 2 * 255 / 256 * 1e9 / found.bytes * 256 == pytest.approx(51.2e12)


def test_a_line_of_four_takes_what_the_scaling_book_works_out() -> None:
    """An all-gather of 4 parts of 8.4 MB on v5e: 3 hops of 8.4e6 / 4.5e10, 560 us; 3 us for no bytes."""
    links = Links(rate=4.5e10, side=16, host=1.0)
    assert exchange("all-gather", 4 * 8.4e6, Shape(1, (4,)), links).bytes == pytest.approx(560e-6)
    assert exchange("all-gather", 0.0, Shape(1, (4,)), links).hops == pytest.approx(3e-6)


@pytest.mark.parametrize(
    ("chips", "bytes_ms", "hops_us", "across_us"),
    [
        (8, 2 * 7 / 8 * 100e6 / 100e9 * 1e3, 2 * (1 + 3), 0),
        (64, 2 * 63 / 64 * 100e6 / 100e9 * 1e3, 2 * (7 + 7), 0),
        (256, 2 * 255 / 256 * 100e6 / 200e9 * 1e3, 2 * (8 + 8), 0),
        (1024, 2 * 255 / 256 * 100e6 / 200e9 * 1e3, 2 * (8 + 8), 2 * (0.75 * 100e6 / 256 / 3.125e9 * 1e6 + 50)),
    ],
)
def test_an_all_reduce_of_100_mb_by_hand(chips: int, bytes_ms: float, hops_us: float, across_us: float) -> None:
    assert SHAPES[chips].chips == chips
    found = exchange("all-reduce", 100e6, SHAPES[chips], V5E)
    assert found == pytest.approx((bytes_ms / 1e3, hops_us / 1e6, across_us / 1e6))
    assert found.seconds == pytest.approx(bytes_ms / 1e3 + hops_us / 1e6 + across_us / 1e6)


def test_one_chip_exchanges_nothing_and_a_kind_must_be_known() -> None:
    assert exchange("all-reduce", 1e9, Shape(1, (1, 1)), V5E).seconds == 0
    with pytest.raises(UsageError, match="kind must be one of all-reduce, all-gather, reduce-scatter, got all-to-all"):
        exchange("all-to-all", 1.0, SHAPES[8], V5E)
    with pytest.raises(UsageError, match="the rates of links are known for v5e, got v6e"):
        links_of("v6e")


def facts(**changes: Any) -> dict[str, Any]:
    """A step of 8 ms by its bytes, and 4 and 6.7 by operations and cycles, with one large sum and ten small ones."""
    rows = [("all-reduce", 1, 100_000_000), ("all-reduce", 10, 10_000), ("all-gather", 1, 50_000_000)]
    step = {
        "steps": 1,
        "batch": 512,
        "devices": 8,
        "precision": "bfloat16",
        "flops": 4e-3 * 197e12,
        "traffic": 8e-3 * 819e9,
        "kinds": {"dot": {"forward": 5_000_000, "backward": 5_000_000}},
        "collectives": [{"kind": kind, "number": number, "bytes": size} for kind, number, size in rows],
        **changes,
    }
    setting = {"config": "configs/x.py", "topology": "v5e:2x4", "devices": 8, "chip": "v5e", "date": "2026-11-30"}
    return {"setting": {**setting, "jax": "1", "libtpu": "2"}, "programs": [step]}


def test_efficiencies_by_hand() -> None:
    known = facts()
    assert seconds_of(known) == pytest.approx(8e-3)
    assert seconds_of(facts(traffic=0.0)) == pytest.approx(10_000_000 / 1.5e9)
    found = predicted(known, SHAPES[8])
    waits = 2 * 7 / 8 * 100.01e6 / 100e9 + 7 / 8 * 50e6 / 100e9
    hops = (2 * 11 + 1) * 4e-6
    assert (found.bytes, found.hops, found.across) == pytest.approx((waits, hops, 0))
    assert found.efficiency == pytest.approx(8e-3 / (8e-3 + waits + hops))
    assert found.overlapped == 1
    slow = predicted(facts(traffic=0.0, flops=1e-3 * 197e12, kinds={}), SHAPES[8])
    assert slow.overlapped == pytest.approx(1e-3 / (waits + hops))


def test_a_table_has_a_row_for_each_number_of_chips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row[5] for row in rows(facts())] == ["8", "64", "256", "1,024"]
    path, page = tmp_path / "x.json", tmp_path / "page.md"
    path.write_text(json.dumps(facts()))
    write([path], page)
    text = page.read_text()
    assert "check configs/x.py --topology v5e:2x4 --precision bfloat16 --programs step --batch-size 512" in text
    assert "| x | 64 | 8.00 | 12 | 150.0 | 8 | 2.19 | 0.09 | 0.00 | 77.8 | 100.0 |" in text
    assert capsys.readouterr().out.count("\n") == 6


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("", "must be what check --programs step --json wrote"),
        ("{}", "must be what check --programs step --json wrote"),
        (json.dumps(facts(steps=24)), "must hold a step: check it with --programs step"),
    ],
)
def test_another_file_is_refused(content: str, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=rule):
        read(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read(tmp_path / "y.json")
