"""The pages and forms around the code: they parse, agree with one another, and name what exists."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
MAP = (ROOT / "tests" / "README.md").read_text()
CHANGES = (ROOT / "CHANGELOG.md").read_text()
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def parsed(path: Path | str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def paths_in(text: str) -> set[str]:
    """Files and folders of the repository that a text names in backquotes."""
    named = re.findall(r"`((?:fjdl|experiments|configs|tests|docs)/[\w/.]*)(?:::\w+)?`", text)
    return {path for path in named if "…" not in path}


@pytest.mark.parametrize("text", [GUIDE, MAP], ids=["CONTRIBUTING", "tests/README"])
def test_the_files_that_a_guide_names_exist(text: str) -> None:
    links = set(re.findall(r"\]\(([\w/.]+)\)", text))
    assert len(paths_in(text)) >= (30 if text is GUIDE else 2)
    assert [name for name in paths_in(text) if not (ROOT / name).exists()] == []
    base = ROOT if text is GUIDE else ROOT / "tests"
    assert [name for name in links if not (base / name).exists()] == []


def test_the_tests_that_the_guide_names_exist() -> None:
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", GUIDE):
        assert f"def {test}(" in (ROOT / file).read_text()


ANSWERS = {
    "max pooling's gradient": ("fjdl/functional/pool/maximum.py", "def _maxima_jvp"),
    "the F1 score": ("fjdl/metrics/classification/averaged_scores.py", "def f1_score"),
    "what a checkpoint contains": ("fjdl/train/state.py", "class TrainState"),
    "the config hash": ("experiments/fingerprint.py", "def fingerprint"),
    "how a batch is drawn": ("fjdl/data/batches.py", "def batch_indices"),
    "the speed comparison with PyTorch": ("experiments/benchmarks", ""),
    "what a config would cost on a TPU": ("experiments/compiled", ""),
    "how processes find and miss one another": ("fjdl/train/processes.py", "def join"),
    "which test knows W27": ("docs/worked_numbers.md", r"\| W27 \|"),
}


@pytest.mark.parametrize("question", ANSWERS)
def test_the_guide_says_where_it_is_and_it_is_there(question: str) -> None:
    path, pattern = ANSWERS[question]
    (row,) = re.findall(rf"^\| {re.escape(question)} \| (.*) \|$", GUIDE, flags=re.MULTILINE)
    assert f"`{path}`" in row
    assert re.search(pattern, (ROOT / path).read_text()) if pattern else (ROOT / path).is_dir()


def test_every_folder_of_tests_with_an_idea_of_its_own_is_on_the_map() -> None:
    rooms = {path.name for path in (ROOT / "fjdl").iterdir() if path.is_dir()} | {"experiments"}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")} - rooms
    assert folders == set(re.findall(r"^\| `(\w+)/` \|", MAP, flags=re.MULTILINE))


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'__version__ = "{version}"' in (ROOT / "fjdl" / "__init__.py").read_text()
    assert parsed("CITATION.cff")["version"] == version
    newest, date = re.findall(r"^## \[([\d.]+)\] - (\S+)$", CHANGES, flags=re.MULTILINE)[0]
    assert version == newest + ".dev0" * (date == "unreleased")


def test_the_changelog_keeps_its_form() -> None:
    versions = re.findall(r"^## (.*)$", CHANGES, flags=re.MULTILINE)
    assert versions[-1] == "[0.1.0] - 2026-11-21"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - (unreleased|\d{4}-\d\d-\d\d)", version) for version in versions)
    kinds = set(re.findall(r"^### (.*)$", CHANGES, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_citation_has_what_the_format_asks_for() -> None:
    citation = parsed("CITATION.cff")
    assert citation.keys() >= {"cff-version", "message", "title", "authors", "version", "license"}
    assert citation["cff-version"] == "1.2.0"
    assert all("name" in author for author in citation["authors"])
    assert citation["license"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]


@pytest.mark.parametrize("path", FORMS, ids=[path.stem for path in FORMS])
def test_an_issue_form_asks_for_what_is_needed(path: Path) -> None:
    form = parsed(path)
    if path.stem == "config":
        assert form == {"blank_issues_enabled": True}
        return
    assert form.keys() >= {"name", "description", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) >= 2
    assert all(field["attributes"]["label"] for field in fields)


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_workflow_runs_what_ci_runs_and_the_long_suites_every_night() -> None:
    workflow = parsed(".github/workflows/ci.yml")
    jobs, triggers = workflow["jobs"], workflow[True]  # YAML reads the word `on` as true
    assert {"push", "pull_request", "schedule"} <= triggers.keys()
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert commands(jobs["test"]) == re.findall(r"^(make \w+)$", (ROOT / ".ci" / "run").read_text(), flags=re.MULTILINE)
    assert commands(jobs["nightly"]) == ["make ${{ matrix.suite }}"]
    assert "schedule" in jobs["nightly"]["if"]
    makefile = (ROOT / "Makefile").read_text()
    targets = [command.removeprefix("make ") for command in commands(jobs["test"])]
    for target in [*targets, *jobs["nightly"]["strategy"]["matrix"]["suite"]]:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"the Makefile has no target {target}"


def test_hooks_check_what_the_suite_checks() -> None:
    hooks = {hook["id"] for repo in parsed(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]}
    assert {"ruff-check", "ruff-format", "check-yaml", "check-toml"} <= hooks


def test_what_the_security_page_states_as_numbers_the_code_states() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert "four formats, and only up to 2²⁶ pixels" in text
    source = (ROOT / "fjdl" / "data" / "image_folder.py").read_text()
    assert 'FORMATS = ("JPEG", "PNG", "WEBP", "BMP")' in source
    assert "MOST_PIXELS = 2**26" in source
    imports = re.compile(r"^\s*(import pickle\b|from pickle\b import|.*allow_pickle=True)", flags=re.MULTILINE)
    assert not [path for path in (ROOT / "fjdl").rglob("*.py") if imports.search(path.read_text())]
