"""The extension of Sphinx that `docs/conf.py` names: pages of the library, and docstrings as Sphinx reads them."""

from pathlib import Path
from typing import Any

from experiments.pages.site.docstrings import as_rst
from experiments.pages.site.signatures import fields, signature

FOLDER = "docs/api"


def setup(app: Any) -> dict[str, bool]:
    """Connects what this extension does to the events of a build."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / FOLDER))
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skipped)
    app.connect("build-finished", _begin)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(folder: Path) -> None:
    """Writes a page for each room and public module, leaves those that are the same, and removes others."""
    from experiments.pages.site.rooms import pages

    folder.mkdir(exist_ok=True)
    wanted = {f"{name}.rst": text for name, text in pages().items()}
    for path in folder.glob("*.rst"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def _begin(app: Any, failure: Exception | None) -> None:
    """Leads from the folder of the site to its first page, which lies where its source does."""
    if failure is None and app.builder.format == "html":
        first = app.builder.get_target_uri(app.config.root_doc)
        (Path(app.outdir) / "index.html").write_text(f'<meta http-equiv="refresh" content="0; url={first}">\n')


def _docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    told = [f"- `{field.name}`: {field.comment}" for field in fields(thing) if field.comment] if what == "class" else []
    lines[:] = as_rst([*lines, "", *told])


def _signature(
    app: Any, what: str, name: str, thing: Any, options: Any, given: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    return signature(thing) or (given, returned)


def _skipped(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leaves out fields, which the signature has, and functions of other libraries that are their defaults."""
    home = getattr(thing, "__module__", None) or ""
    plain = type(thing).__name__ == "_tuplegetter" or (callable(thing) and not home.startswith("fjdl."))
    return True if plain else None
