"""What the templates share: the text around a recipe, and sizes that suit the number of examples."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

STEPS = 600  # of a first training, which takes about a minute on two cores
PRECISIONS = 'Literal["float32", "tensorfloat32", "bfloat16", "float16"]'


class Written(NamedTuple):
    """The text of a config, and what to tell of the choices in it."""

    text: str
    notes: list[str]


class Sizes(NamedTuple):
    """How long a first training is."""

    batch_size: int
    epochs: int
    patience: int


def sizes_for(examples: int) -> Sizes:
    """Batches and epochs for so many training examples."""
    batch_size = 16 if examples < 1_000 else 64 if examples < 50_000 else 128
    epochs = min(max(round(STEPS * batch_size / examples), 5), 200)
    return Sizes(batch_size, epochs, max(epochs // 3, 3))


def filled(template: str, *, name: str, **values: object) -> str:
    """The template with `<name>`-like places filled in; a place that stays is a bug."""
    text = template
    for key, value in {"name": name, "precisions": PRECISIONS, **values}.items():
        text = text.replace(f"<{key}>", str(value))
    return text


def path_literal(path: Path) -> str:
    """The path as Python writes it, from the root, so that a run finds it from any folder."""
    return f'Path("{_escaped(str(path.resolve()))}")'


def string(text: str) -> str:
    """A string literal in double quotes."""
    return f'"{_escaped(text)}"'


def strings(texts: Sequence[str], *, indent: int = 4) -> str:
    """A tuple of strings, on one line or on as many as they need."""
    line = f"({', '.join(map(string, texts))}{',' if len(texts) == 1 else ''})"
    if len(line) <= 100:
        return line
    inner, rows, row = " " * indent, [], ""
    for literal in map(string, texts):
        if row and len(row) + len(literal) > 100:
            rows.append(row)
            row = ""
        row += f"{literal}, "
    return "(\n" + "".join(f"{inner}{each.rstrip()}\n" for each in [*rows, row]) + ")  # fmt: skip"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
