"""The documentation as a site: it names every page, room and public name, and every example of its pages runs."""

import doctest
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from experiments.pages.public import rooms
from experiments.pages.site.docstrings import as_rst
from experiments.pages.site.rooms import pages
from experiments.pages.site.signatures import fields, signature
from tests.house.public_names import SNAPSHOT
from tests.house.test_examples import FLAGS
from tests.support import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "api" not in path.relative_to(DOCS).parts)
SHOWN = [path for path in PAGES if "```python\n>>>" in path.read_text()]
# Pages whose examples are not sessions, and the test that runs them.
RUN_ELSEWHERE = {"own_data.md": "test_own_data_page.py"}
# Pages whose examples compile for more than a second, run at night.
HEAVY = (
    "advice/activations.md", "advice/dead_units.md", "advice/kinds_of_learning.md", "advice/what_is_wrong.md",
    "diagnosis.md", "fine_tuning.md", "guides/add_a_loss.md",
)  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(DOCS).as_posix()


def listed(path: Path) -> set[Path]:
    """The files that the toctrees of a page name."""
    trees = re.findall(r"```\{toctree\}\n(.*?)```", path.read_text(), flags=re.DOTALL)
    lines = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    names = [re.sub(r".*<(.*)>", r"\1", line) for line in lines]
    return {(path.parent / f"{name}.md").resolve() for name in names}


def test_the_index_names_every_page() -> None:
    assert listed(DOCS / "index.md") >= set(PAGES) - {DOCS / "index.md"}
    assert [path for path in listed(DOCS / "index.md") if not path.is_file()] == []


def test_the_page_of_the_library_names_every_room() -> None:
    text = (DOCS / "api.md").read_text()
    wanted = {name for name in pages() if name.count(".") == 1}
    assert {room.__name__ for room in rooms() if room.__name__.count(".") == 1} <= wanted
    assert set(re.findall(r"^- `(fjdl\.\w+)`:", text, flags=re.MULTILINE)) == wanted


def test_every_public_name_has_one_entry() -> None:
    made = pages()
    text = "\n".join(made.values())
    entered = re.findall(r"^\.\. (?:autofunction|autoclass):: (\S+)$", text, re.MULTILINE)
    data = re.findall(r"^\.\. py:data:: (\S+)\n   :module: (\S+)$", text, re.MULTILINE)
    entered += [f"{home}.{name}" for name, home in data]
    names = set(SNAPSHOT.read_text().split()) - made.keys()
    assert sorted(entered) == sorted(names)


def test_second_names_refer_to_the_first() -> None:
    page = pages()["fjdl.losses"]
    second = ".. py:data:: cross_entropy\n   :module: fjdl.losses\n\n   The same as"
    assert f"{second} :py:obj:`fjdl.losses.softmax_cross_entropy`." in page
    assert ".. autofunction:: fjdl.losses.softmax_cross_entropy" in page


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("`x`s of a*b, |c| and d_", "``x``\\ s of a\\*b, \\|c\\| and d\\_"),
        ("See `jax.numpy.mean`.", "See :py:obj:`jax.numpy.mean`."),
        ("Two:\n- `a`: one\n  more\n- b", "Two:\n\n- ``a``: one\n  more\n\n- b"),
        ("    x = 1", ".. code-block:: text\n\n    x = 1"),
        ("Shown:\n>>> 1\n1", "Shown:\n\n>>> 1\n1"),
        ("```python\nx = 1\n\ny = 2\n```", ".. code-block:: python\n\n   x = 1\n   \n   y = 2"),
        ("A. Smith 2001", "\\A. Smith 2001"),
        ("a code `over\ntwo` lines", "a code ``over two`` lines"),
    ],
)
def test_docstrings_become_what_sphinx_reads(text: str, wanted: str) -> None:
    assert "\n".join(as_rst(text.split("\n"))).rstrip() == wanted


def test_signatures_are_those_of_the_source() -> None:
    from fjdl.losses import softmax_focal_loss
    from fjdl.nn import GRU
    from fjdl.train import Recipe

    arguments, returned = signature(softmax_focal_loss) or ("", "")
    assert arguments.startswith(
        "(logits: Float[Array, '*batch k'], labels: Integer[Array, '*batch'], *, gamma: Number=2.0"
    )
    assert returned == "Float[Array, '*batch']"
    assert (signature(Recipe) or ("", ""))[0].startswith(
        "(*, splits: Callable[[], fjdl.data.source.Splits], model: fjdl.model.Model"
    )
    assert "features: int" in (signature(GRU) or ("", ""))[0]
    assert next(field.comment for field in fields(Recipe) if field.name == "save_every").startswith("epochs between")
    assert signature(1) is None


def test_every_example_is_run_by_a_test() -> None:
    with_code = {name_of(path) for path in PAGES if "```python" in path.read_text()}
    assert with_code == {name_of(path) for path in SHOWN} | RUN_ELSEWHERE.keys()
    assert all((ROOT / "tests" / "house" / test).is_file() for test in RUN_ELSEWHERE.values())


def marked(path: Path) -> Any:
    return pytest.param(path, marks=pytest.mark.slow if name_of(path) in HEAVY else (), id=name_of(path))


@pytest.mark.parametrize("path", [marked(path) for path in SHOWN])
def test_examples_of_pages_give_what_they_show(path: Path) -> None:
    names: dict[str, Any] = {}
    for number, block in enumerate(re.findall(r"```python\n(>>>.*?)```", path.read_text(), flags=re.DOTALL)):
        test = doctest.DocTestParser().get_doctest(block, names, f"{name_of(path)}, block {number}", str(path), 0)
        told: list[str] = []
        result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.append, clear_globs=False)
        names = test.globs
        assert result.failed == 0, "".join(told)
        assert result.attempted > 0


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_and_figures_of_pages_exist(path: Path) -> None:
    text = path.read_text()
    commands = {module.replace(".", "/") for module in re.findall(r"-m (experiments(?:\.\w+)+)", text)}
    missing = [module for module in commands if not (ROOT / f"{module}.py").exists()]
    missing += [name for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text) if not (path.parent / name).is_file()]
    assert missing == []


@pytest.mark.slow
@pytest.mark.skipif(find_spec("sphinx") is None, reason="Sphinx is in the extra `docs`")
def test_the_site_is_built_without_warnings_and_holds_every_public_name(tmp_path: Path) -> None:
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--builder", "html", "--conf-dir", str(DOCS)]
    command = [sys.executable, "-m", "sphinx", *options, str(ROOT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    from sphinx.util.inventory import InventoryFile

    with (tmp_path / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, name: name)
    kinds = getattr(inventory, "data", inventory)
    found = {name for kind, names in kinds.items() if kind.startswith("py:") for name in names}
    assert set(SNAPSHOT.read_text().split()) - found == set()
    assert "Focal loss" in (tmp_path / "docs" / "api" / "fjdl.losses.html").read_text()
    assert (tmp_path / "searchindex.js").stat().st_size > 100_000
    assert (tmp_path / "index.html").is_file()
