"""One page of HTML about runs, with all that it shows inside: it needs no other file, no network and no script."""

import base64
import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from experiments.diagnoses.from_records import from_records, read_finished, read_records
from fjdl.errors import StorageError

CAPTIONS = {
    "learning_curves": "Losses and scores by epoch; dashed on training examples",
    "confusion": "Examples by true and predicted class",
    "mistakes": "Mistakes, the most confident first",
    "text_mistakes": "Mistakes, the most confident first",
    "reliability": "Accuracy by confidence",
    "thresholds": "Curves over all thresholds, each class against all others",
    "filters": "First-layer filters",
    "distributions": "Activations, gradients and parameters by layer",
    "units_zero": "Units that are zero",
    "units_saturated": "Units that are saturated",
}
LONGEST = 200_000  # characters of a text that is shown whole

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; }
section { border-top: 1px solid #8886; margin-top: 2rem; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; background: white; }
figcaption, .quiet { color: #777; font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
pre { overflow-x: auto; padding: .75rem; background: #8881; font-size: .85rem; }
.trouble { font-weight: bold; }
"""


def page(results: Sequence[Mapping[str, Any]], *, table: Sequence[Sequence[str]], compared: Any = None) -> str:
    """The page of some finished runs: their table, a figure that compares them, and a section for each."""
    title = ", ".join(dict.fromkeys(result["path"].name for result in results))
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{escape(title)}</h1>",
        rows_of(table[0], table[1:]),
        "" if compared is None else figure_of(drawn(compared), "Learning curves of all runs"),
        *(section(result) for result in results),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def section(result: Mapping[str, Any]) -> str:
    """All about one run."""
    path: Path = result["path"]
    found = from_records(read_records(path), read_finished(path))
    return "\n".join(
        [
            "<section>",
            f"<h2>{escape(path.name)}</h2>",
            f'<p class="quiet">{escape(result["data"])}, {escape(result["hardware"])}</p>',
            "<h3>Numbers</h3>",
            rows_of(("", "validation", "test"), numbers(result)),
            rows_of(("", ""), facts(result)),
            "<h3>Command</h3>",
            f"<pre>{escape(result['command'])}</pre>",
            "<h3>Diagnosis</h3>",
            f"<ul>{''.join(item(finding) for finding in sorted(found, key=lambda each: not each.trouble))}</ul>",
            "<h3>Figures</h3>",
            *(figure_of(content, caption) for content, caption in figures(path)),
            *(folded(name, text) for name, text in texts(path, result).items()),
            "</section>",
        ]
    )


def numbers(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Scalars of validation and test part side by side, with their intervals."""
    from fjdl.train.summary import intervals

    ranges = {part: intervals(result[part]) for part in ("validation", "test")}

    def told(part: str, name: str) -> str:
        value = result[part].get(name)
        if not isinstance(value, (int, float)):
            return ""
        low, high = ranges[part].get(name, (None, None))
        return f"{value:.6g}" + ("" if low is None else f" (95 %: {low:.4g} to {high:.4g})")

    names = [name for name, value in result["test"].items() if isinstance(value, (int, float))]
    return [(name, told("validation", name), told("test", name)) for name in names]


def facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What it took."""
    examples = ", ".join(f"{part} {count:,}" for part, count in result["examples"].items() if isinstance(count, int))
    return [
        ("examples", examples),
        ("parameters", f"{result['parameters']:,}"),
        ("best epoch", f"{result['best_epoch']} of {result['epochs']}"),
        ("seconds", f"{result['seconds']:.1f}"),
        ("seed, precision", f"{result['seed']}, {result['precision']}"),
        ("commit", str(result["commit"])),
        ("state", result["state"]),
        *begun_with(result["path"]),
    ]


def begun_with(path: Path) -> list[tuple[str, str]]:
    """The trained weights that the run began with; nothing where all was drawn."""
    from fjdl.train.beginning import read_pretrained
    from fjdl.train.rundir import RunDirectory

    told = read_pretrained(RunDirectory(path=path))
    if told is None:
        return []
    drawn = f", {len(told['fresh'])} drawn" if told["fresh"] else ""
    return [("began with", f"{told['path']} (sha256 {told['sha256']}), {told['taken']} arrays{drawn}")]


def item(finding: Any) -> str:
    """A finding, with its advice where there is trouble."""
    kind = ' class="trouble"' if finding.trouble else ""
    advice = "".join(f"<li>{escape(each)}</li>" for each in finding.advice)
    told = f"<span{kind}>{escape(finding.name)}</span>: {escape(finding.words)}"
    return f"<li>{told}{f'<ul>{advice}</ul>' if advice else ''}</li>"


def figures(path: Path) -> list[tuple[bytes, str]]:
    """The PNG files in the run's plots/, drawn first where the learning curves are not there, with captions."""
    folder = path / "plots"
    if not (folder / "learning_curves.png").exists():
        from experiments.evaluate import load_run
        from experiments.plot import draw

        draw(path, load_run(path))
    known = [name for name in CAPTIONS if (folder / f"{name}.png").exists()]
    others = sorted(each.stem for each in folder.glob("*.png") if each.stem not in CAPTIONS)
    return [(read(folder / f"{name}.png"), CAPTIONS.get(name, name.replace("_", " "))) for name in [*known, *others]]


def texts(path: Path, result: Mapping[str, Any]) -> dict[str, str]:
    """Files of the run that say what ran, by what they are called."""
    config = path / "config.py"
    files = {
        "Config": config if config.exists() else Path(result["config"]["config"]),
        "Arguments": path / "config.json",
        "Environment": path / "env.json",
        "Code": path / "git.json",
    }
    found = {name: read(file).decode(errors="replace") for name, file in files.items() if file.exists()}
    return {name: text if len(text) <= LONGEST else f"{text[:LONGEST]}\n..." for name, text in found.items()}


def folded(name: str, text: str) -> str:
    """A text that is shown when its name is chosen; JSON in lines."""
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"


def rows_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, which scrolls by itself where the screen is narrow."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    first = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    return f'<div class="wide"><table>{first}<tbody>{body}</tbody></table></div>'


def figure_of(content: bytes, caption: str) -> str:
    """A picture inside of the page."""
    data = base64.b64encode(content).decode()
    told = escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{told}"><figcaption>{told}</figcaption></figure>'


def drawn(figure: Any) -> bytes:
    """A figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def read(path: Path) -> bytes:
    """The content of a file; raises `StorageError` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error
