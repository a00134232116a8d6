"""The page of a run holds everything inside of itself, as HTML that parses; runs are compared in one figure."""

import base64
import io
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from experiments.report import cells, rows
from experiments.reports.comparison import names
from experiments.reports.page import folded, item, rows_of
from fjdl.diagnosis import Finding
from tests.experiments.support import Command, invoke, sentence

VOID = {"meta", "img"}


class Page(HTMLParser):
    """The elements of a page; fails where one is not closed in its turn, or an attribute is there twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.declared = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_decl(self, decl: str) -> None:
        self.declared = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run, in which figures are drawn."""
    return Path(shutil.copytree(trained_run, tmp_path_factory.mktemp("page") / "digits <1>"))


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    path = run.parent / "page.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["report.py", str(run), "--html", str(path)])
        assert invoke("report") == 0
    return Page(path.read_text(encoding="utf-8"))


def test_every_figure_is_inside_and_decodes(page: Page) -> None:
    images = page.of("img")
    assert len(images) >= 4
    for image in images:
        kind, _, data = (image["src"] or "").partition(",")
        assert kind == "data:image/png;base64"
        assert matplotlib.image.imread(io.BytesIO(base64.b64decode(data, validate=True))).ndim == 3
        assert image["alt"]


def test_nothing_outside_is_asked_for(page: Page) -> None:
    assert not {"script", "link", "iframe", "a"} & {tag for tag, _ in page.elements}
    places = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")]
    assert all((place or "").startswith("data:") for place in places)


def test_it_is_html5_that_a_phone_shows_at_its_width(page: Page) -> None:
    assert page.declared == "DOCTYPE html"
    assert page.of("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in page.of("meta")
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.of("meta")
    assert len(page.of("title")) == 1


@pytest.mark.parametrize(
    "told",
    [
        "digits <1>", "python -m experiments.train", "digits_logistic", "accuracy", "macro_f1",
        "overfitting: the validation loss",
        "def recipe(", '"backend": "cpu"', "best epoch", "Losses and scores by epoch",
    ],
)  # fmt: skip
def test_it_tells(page: Page, told: str) -> None:
    assert told in page.text


def test_curves_of_runs_stand_in_one_figure(run: Path, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    assert command("report", run, "--figure", path).status == 0
    assert matplotlib.image.imread(path).ndim == 3


def test_a_page_that_cannot_be_written_is_one_sentence(run: Path, command: Command) -> None:
    outcome = command("report", run, "--html", run / "no folder" / "page.html")
    assert outcome.status == 6
    assert "no folder" in sentence(outcome)


def test_what_looks_like_html_is_text() -> None:
    parts: list[Any] = [
        rows_of(("<b>",), [("a & b",)]),
        item(Finding("<i>", True, "x < y", ("<script>",))),
        folded("<u>", "if a < b: </pre>"),
    ]
    parsed = Page("".join(parts))
    assert {tag for tag, _ in parsed.elements} <= {
        "div", "table", "thead", "tr", "th", "tbody", "td", "li", "span", "ul", "details", "summary", "pre",
    }  # fmt: skip
    assert "<script>" in parsed.text
    assert "if a < b: </pre>" in parsed.text


def test_names_are_the_shortest_ends_that_differ() -> None:
    assert names([Path("/a/x"), Path("/a/y")]) == ["x", "y"]
    assert names([Path("/a/x"), Path("/b/x")]) == ["a/x", "b/x"]


def test_cells_of_a_row_are_plain_text() -> None:
    assert cells(r"| a | b \| c | `d` |") == ["a", "b | c", "d"]
    assert rows([])[0].count("|") == 9
