"""Look at all data of a config before it trains: `python -m experiments.check my_config.py`.

It says what cannot be read, how often each label occurs, which examples are in two parts, and the ranges of numbers.
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tyro

from experiments.command import parse, run_guarded
from experiments.mistakes import users_mistakes
from fjdl.errors import DataError


@dataclasses.dataclass(frozen=True)
class Options:
    """Read all data of a config once and say what is in them; the exit status is 3 where something is wrong."""

    config: tyro.conf.Positional[Path]
    """The config file."""
    most: int = 20
    """How many lines of each kind are printed at most."""


def main() -> None:
    """Prints what was found; raises `DataError` where something is wrong."""
    options, experiment = parse(Options, sys.argv[1:])
    recipe = experiment.recipe
    from fjdl.data.faults import bad_left_out
    from fjdl.train.survey import survey

    with users_mistakes(), bad_left_out():
        splits = recipe.splits()
    found = survey(recipe, splits)
    print(f"{splits.name}: " + ", ".join(f"{length:,} {part}" for part, length in found.lengths.items()))
    for line in (*label_lines(found, splits.classes), *range_lines(found)):
        print(line)
    wrong = wrongs(found, splits.classes)
    for title, lines in {**wrong, "the same inputs twice in a part": twice_lines(found)}.items():
        for line in shortened(title, lines, options.most):
            print(line)
    sys.stdout.flush()
    if any(wrong.values()):
        raise DataError("; ".join(f"{title}: {len(lines):,}" for title, lines in wrong.items() if lines))
    print("nothing is wrong")


def label_lines(found: Any, classes: tuple[str, ...]) -> Iterator[str]:
    """A table of how often each class occurs in each part."""
    labels = sorted({*range(len(classes)), *(label for counts in found.labels.values() for label in counts)})
    if not any(found.labels.values()):
        return
    names = {label: name_of(label, classes) for label in labels}
    width = max(5, *map(len, names.values()))
    yield f"  {'class':{width}}" + "".join(f"{part:>12}" for part in found.labels)
    for label in labels:
        yield f"  {names[label]:{width}}" + "".join(f"{counts[label]:12,}" for counts in found.labels.values())


def range_lines(found: Any) -> Iterator[str]:
    """Lowest, highest and mean number of each array in each part."""
    for part, ranges in found.ranges.items():
        for name, each in ranges.items():
            shapes = " ".join(str(list(shape)) for shape in each.shapes[:3])
            numbers = f"{each.lowest:.6g} to {each.highest:.6g}, mean {each.mean:.6g}"
            others = f", {each.not_finite:,} not finite" if each.not_finite else ""
            yield f"  {part:10} {name}: {each.dtype} {shapes}, {numbers}{others}"


def wrongs(found: Any, classes: tuple[str, ...]) -> dict[str, list[str]]:
    """Lines by what is wrong: all of these should be empty."""
    across = [each for each in found.duplicates if each.first[0] != each.second[0]]
    unlearned = [
        name for label, name in enumerate(classes) if any(found.labels.values()) and not found.labels["train"][label]
    ]
    return {
        "examples that cannot be used": list(found.bad),
        "examples that are in two parts": [_pair(each) for each in across],
        "classes without an example to learn from": unlearned,
    }


def twice_lines(found: Any) -> list[str]:
    """Lines of examples that occur twice in a part, which is no fault."""
    return [_pair(each) for each in found.duplicates if each.first[0] == each.second[0]]


def shortened(title: str, lines: list[str], most: int) -> Iterator[str]:
    """The title with the number of lines, and at most so many of them; nothing without lines."""
    if not lines:
        return
    yield f"{title}: {len(lines):,}"
    yield from (f"  {line}" for line in lines[:most])
    if len(lines) > most:
        yield f"  and {len(lines) - most:,} more"


def name_of(label: int, classes: tuple[str, ...]) -> str:
    """The name of a class, or its number where it has none."""
    return classes[label] if 0 <= label < len(classes) else f"{label} (no class)"


def _pair(each: Any) -> str:
    other = "" if each.alike else ", where something else is predicted"
    return f"{each.second[0]} {each.second[1]} is {each.first[0]} {each.first[1]}{other}"


if __name__ == "__main__":
    run_guarded(main)
