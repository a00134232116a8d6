"""Ask a run about image files: `python -m experiments.predict runs/digits photo.png` tells classes, masks or boxes."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.evaluate import LoadedRun, load_run
from fjdl.errors import DataError, StorageError, UsageError

ENDINGS = (".json", "_mask.png", "_overlay.png")  # of the files that are written, behind the name of the image


@dataclasses.dataclass(frozen=True)
class Options:
    """What the best epoch of a run says of image files: a line of JSON each, and files in a folder.

    A classifier gives the most probable classes; a model of segments a mask with a colour for each class, an overlay
    and the share of each class; a detector boxes in pixels of the image file, and an overlay.
    """

    run: tyro.conf.Positional[Path]
    """The run directory."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Image files: JPEG, PNG, WebP or BMP."""
    out: Path | None = None
    """The folder for what is written, the run's predictions/ unless given."""
    top: int = 5
    """How many classes are told of an image, the most probable ones."""
    least: float = 0.3
    """The least score of a box that is told and drawn."""
    overwrite: bool = False
    """Whether files that are there already are replaced."""


def main() -> None:
    """Prints what is said of each image; one that cannot be read is a sentence, and the others go on."""
    options = tyro.cli(Options, args=sys.argv[1:])
    _check(options)
    run = load_run(options.run)
    from experiments.predictions.base import Limits
    from fjdl.train.json_files import encode_json
    from fjdl.train.prediction import predictor

    if run.splits.reader is None:
        raise UsageError(f"{options.run} reads no files: its data, {run.splits.name}, do not say how")
    ask, limits, unread = predictor(run.recipe), Limits(options.top, options.least), 0
    for path in options.images:
        try:
            picture = run.splits.reader(path)
        except DataError as error:
            unread += 1
            print(f"fjdl: {error}", file=sys.stderr, flush=True)
            continue
        told = told_of(run, ask, picture, limits)
        print(encode_json(write(told, path, folder(options))).strip(), flush=True)
    if unread:
        raise DataError(f"{unread} of {len(options.images)} images could not be read")


def folder(options: Options) -> Path:
    """Where files are written."""
    return options.out or options.run / "predictions"


def told_of(run: LoadedRun, ask: Any, picture: Any, limits: Any) -> Any:
    """What is told of one picture, by the kind of answer that the run's model gives."""
    from experiments.predictions import boxes, classes, segments
    from experiments.predictions.base import variables_of
    from fjdl.boxes import Detections
    from fjdl.train.answers import Classified, Segmented

    answer = ask(*variables_of(run), picture.example)
    kinds = {Classified: classes.told, Segmented: segments.told, Detections: boxes.told}
    return kinds[type(answer)](answer, picture, run.splits.classes, limits)


def write(told: Any, path: Path, home: Path) -> dict[str, Any]:
    """Writes JSON and pictures about an image file; returns the JSON, which names the files."""
    from fjdl.files import write_atomically
    from fjdl.train.json_files import encode_json

    files = {name: home / f"{path.stem}_{name}.png" for name in told.pictures}
    numbers = {"image": path, **told.numbers, **files}
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{home} cannot be made: {error.strerror or error}") from error
    for name, content in told.pictures.items():
        write_atomically(files[name], content)
    write_atomically(home / f"{path.stem}.json", encode_json(numbers, indent=2))
    return numbers


def _check(options: Options) -> None:
    """Before anything is computed: numbers in range, and no file that would be written over."""
    if not options.images:
        raise UsageError("images must name at least one file, got none")
    if options.top < 1 or not 0 <= options.least <= 1:
        raise UsageError(f"top must be at least 1 and least must lie in [0, 1], got {options.top} and {options.least}")
    first: dict[str, Path] = {}
    for path in options.images:
        other = first.setdefault(path.stem, path)
        if other is not path:
            raise UsageError(f"images must have different names without their endings, got {other} and {path}")
    there = [folder(options) / f"{name}{ending}" for name in first for ending in ENDINGS]
    taken = next((path for path in there if path.exists()), None)
    if taken is not None and not options.overwrite:
        raise UsageError(f"{taken} is there already; --overwrite replaces it, --out names another folder")


if __name__ == "__main__":
    run_guarded(main)
