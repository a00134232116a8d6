"""The tables of a page: a row for each check, kept until it is made anew."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.compiled.page import COMPARED, CONFIGS, make, rows_of
from experiments.compiled.topology import CompilerError
from experiments.pages.markdown import markers
from fjdl.errors import UsageError
from tests.support import ROOT

CYCLES = {"convolution": {"forward": 300_000, "backward": 700_000, "operations": 3}}
MEMORY = {"arguments": 2_000_000, "temporaries": 250_000_000, "peak": 251_500_000}


def program(scale: float, *, steps: int = 1) -> dict[str, Any]:
    """Numbers of a program whose step moves `scale` times 8.19 GB, 10 ms of v5e's bandwidth."""
    return {
        "steps": steps, "batch": 128, "devices": 4, "flops": scale * 1e9, "traffic": scale * 8.19e9, "seconds": 61.4,
        "model_flops": 0.197e12, "memory": MEMORY, "kinds": CYCLES, "collectives": [{"number": 2}, {"number": 37}],
    }  # fmt: skip


class Checks:
    """Stands in the place of the process that compiles; keeps what it was asked for."""

    def __init__(self, *, fail: str = "") -> None:
        self.asked: list[list[str]] = []
        self.fail = fail

    def __call__(self, arguments: list[str]) -> int:
        self.asked.append(arguments)
        if self.fail and self.fail in arguments[0]:
            return 2
        setting = {"chip": "v5e", "devices": 4, "hosts": 1, "date": "2026-11-29", "jax": "0.10.2", "libtpu": "0.0.42.1"}
        programs = [program(1.0), program(2.0)] if "--against" in arguments else [program(1.0, steps=430)]
        Path(arguments[arguments.index("--json") + 1]).write_text(
            json.dumps({"setting": setting, "programs": programs})
        )
        return 0


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    path = tmp_path / "tpu.md"
    sections = ("v5e:2x2", "flax")
    path.write_text("\n".join(line for section in sections for line in (f"About {section}.", *markers(section))))
    return path


def test_a_row_for_each_config_and_each_comparison(page: Path) -> None:
    checks = Checks()
    make(page, checks, topologies=("v5e:2x2",), precision="bfloat16")
    names = {path.stem for path in CONFIGS.glob("*.py")}
    assert rows_of(page, "v5e:2x2").keys() == names
    assert rows_of(page, "flax").keys() == {*COMPARED}
    # 0.197 TFLOP in 10 ms are 10 % of 197 TFLOP/s; a million cycles at 1.5 GHz take 0.67 ms, 150 % of the peak
    assert rows_of(page, "v5e:2x2")["mnist_lenet"] == (
        "| mnist_lenet | epoch of 430 | 128 | 2.0 | 250 | 252 | 1 | 8,190 | 39 | 1,000 | 10 | 150 | 61 |"
    )
    assert rows_of(page, "flax")["mnist_lenet"].startswith(
        "| mnist_lenet | 32 | 1 / 2 (0.50) | 8,190 / 16,380 (0.50) | "
    )
    text = page.read_text()
    assert "the last row was made on 2026-11-29 with jax 0.10.2 and libtpu 0.0.42.1." in text
    assert "About flax." in text


def test_rows_stay_until_they_are_asked_for(page: Path) -> None:
    make(page, Checks(), topologies=("v5e:2x2",), precision="bfloat16", only=("iris_mlp", "wine_logistic"))
    assert sorted(rows_of(page, "v5e:2x2")) == ["iris_mlp", "wine_logistic"]
    once_more = Checks()
    make(page, once_more, topologies=("v5e:2x2",), precision="bfloat16", only=("iris_mlp",))
    assert [arguments[0] for arguments in once_more.asked] == ["configs/iris_mlp.py"]
    rest = Checks()
    make(page, rest, topologies=("v5e:2x2",), precision="bfloat16")
    asked = {Path(arguments[0]).stem for arguments in rest.asked if "--against" not in arguments}
    assert asked == {path.stem for path in CONFIGS.glob("*.py")} - {"iris_mlp", "wine_logistic"}


def test_a_check_that_fails_leaves_no_row_and_the_others_go_on(page: Path) -> None:
    with pytest.raises(CompilerError, match=r"these checks failed, .*: iris_mlp \(v5e:2x2\)$"):
        make(page, Checks(fail="iris_mlp"), topologies=("v5e:2x2",), precision="bfloat16")
    assert "iris_mlp" not in rows_of(page, "v5e:2x2")
    assert "wine_logistic" in rows_of(page, "v5e:2x2")


def test_names_and_pages_are_looked_at_first(page: Path) -> None:
    checks = Checks()
    with pytest.raises(UsageError, match=r"only must name configs, .*iris_mlp.*, got 'iris'"):
        make(page, checks, topologies=("v5e:2x2",), precision="bfloat16", only=("iris",))
    with pytest.raises(UsageError, match="must contain the lines"):
        make(page, checks, topologies=("v6e:2x2",), precision="bfloat16")
    assert checks.asked == []


def test_the_page_of_the_repository_has_its_places() -> None:
    text = (ROOT / "docs" / "tpu.md").read_text()
    assert all(line in text for section in ("v5e:2x2", "v5e:4x4", "flax") for line in markers(section))
