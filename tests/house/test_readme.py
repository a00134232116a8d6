import re
import subprocess
import sys

import pytest

from tests.support import ROOT

TEXT = (ROOT / "README.md").read_text()


def test_functional_example_runs_and_learns() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=ROOT, check=True)
    assert float(done.stdout) == 1.0


def test_files_that_the_readme_names_exist() -> None:
    named = re.findall(r"\]\(([\w/.]+)\)", TEXT) + re.findall(r"configs/[a-z]\w+\.py", TEXT)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("module", sorted(set(re.findall(r"-m (experiments(?:\.\w+)+)", TEXT))))
def test_commands_that_the_readme_names_exist(module: str) -> None:
    assert (ROOT / (module.replace(".", "/") + ".py")).exists()


def test_every_number_in_the_results_table_stands_in_the_generated_results() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and "±" in line]
    generated = (ROOT / "docs" / "results.md").read_text()
    assert len(rows) >= 8
    for row in rows:
        name, accuracy, *_ = (cell.strip() for cell in row.strip("|").split("|"))
        assert f"| {name} | accuracy {accuracy} |" in generated
