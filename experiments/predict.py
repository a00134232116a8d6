"""Ask a run about files: `python -m experiments.predict runs/digits photo.png`, or about tables and arrays."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from experiments.command import enable_compilation_cache, run_guarded
from experiments.mistakes import users_mistakes
from fjdl.errors import DataError, StorageError, UsageError

ENDINGS = (".json", ".jsonl", "_mask.png", "_overlay.png")  # of the files that are written, behind the name of the file
TABLES = (".csv", ".tsv", ".parquet", ".pq", ".npz", ".gz", ".txt", ".data")  # files of many examples


@dataclasses.dataclass(frozen=True)
class Options:
    """What the best epoch of a run says of files: a line of JSON for each image or row, and files in a folder.

    A classifier gives the class, its probability, and the most probable classes; a regression the number that it
    predicts; a model of segments a mask with a colour for each class, an overlay and the share of each class; a
    detector boxes in pixels of the image file, and an overlay.
    """

    run: tyro.conf.Positional[Path]
    """The run directory."""
    files: tyro.conf.Positional[tuple[Path, ...]]
    """Images (JPEG, PNG, WebP or BMP), folders of images, tables (CSV, TSV or Parquet) and arrays (.npz)."""
    out: Path | None = None
    """The folder for what is written, the run's predictions/ unless given."""
    top: int = 5
    """How many classes are told of an example, the most probable ones."""
    least: float = 0.3
    """The least score of a box that is told and drawn."""
    overwrite: bool = False
    """Whether files that are there already are replaced."""


class Asked(NamedTuple):
    """A file that is asked about, and the name of what is written of it, without an ending."""

    path: Path
    name: Path

    @property
    def of_rows(self) -> bool:
        """Whether the file has many examples."""
        return self.path.suffix.lower() in TABLES


def main() -> None:
    """Prints what is said of each example; a file that cannot be read is a sentence, and the others go on."""
    options = tyro.cli(Options, args=sys.argv[1:])
    files = asked(options)
    _check(options, files)
    run = load_run(options.run)
    enable_compilation_cache()
    from experiments.predictions.base import Limits

    unread, limits = 0, Limits(options.top, options.least)
    for file in files:
        try:
            unread += (tell_rows if file.of_rows else tell_image)(run, file, limits, folder(options))
        except DataError as error:
            unread += 1
            say(error)
    if unread:
        raise DataError(f"{unread} of what was asked about could not be read")


def load_run(path: Path) -> Any:
    """The run without its data."""
    import fjdl

    with users_mistakes():
        return fjdl.load_run(path)


def asked(options: Options) -> list[Asked]:
    """The files in order; those of a folder are its images, by name, and keep their places below it."""
    from fjdl.data.image_folder import SUFFIXES

    found = []
    for path in options.files:
        if not path.is_dir():
            found.append(Asked(path, Path(path.stem)))
            continue
        inside = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        if not inside:
            raise UsageError(f"{path} must hold an image, got none")
        found += [Asked(each, each.relative_to(path).with_suffix("")) for each in inside]
    return found


def tell_image(run: Any, file: Asked, limits: Any, home: Path) -> int:
    """Prints and writes what is said of an image; the number of examples that could not be read, which is 0."""
    from fjdl.train.json_files import encode_json

    told = told_of(run, run.picture(file.path), limits)
    print(encode_json(write(told, file, home)).strip(), flush=True)
    return 0


def tell_rows(run: Any, file: Asked, limits: Any, home: Path) -> int:
    """Prints and writes what is said of each row; the number of rows that could not be read, each a sentence."""
    from experiments.predictions.rows import told
    from fjdl.data.faults import bad_left_out
    from fjdl.files import write_atomically
    from fjdl.train.json_files import encode_json

    with bad_left_out():
        rows = run.rows(file.path)
    for sentence in rows.left_out:
        say(sentence)
    numbers = zip(rows.numbers.tolist(), told(run.answers(rows.source), run.classes, limits), strict=True)
    lines = [encode_json({"file": file.path, "row": number, **each}).strip() for number, each in numbers]
    for line in lines:
        print(line)
    sys.stdout.flush()
    path = home / f"{file.name}.jsonl"
    make(path.parent)
    write_atomically(path, "".join(f"{line}\n" for line in lines))
    return len(rows.left_out)


def say(sentence: object) -> None:
    """A sentence about something that cannot be read."""
    print(f"fjdl: {sentence}", file=sys.stderr, flush=True)


def folder(options: Options) -> Path:
    """Where files are written."""
    return options.out or options.run / "predictions"


def told_of(run: Any, picture: Any, limits: Any) -> Any:
    """What is told of one picture, by the kind of answer that the run's model gives."""
    from experiments.predictions import boxes, classes, numbers, segments
    from fjdl.boxes import Detections
    from fjdl.train.answers import Classified, Estimated, Segmented

    answer = run.answer(picture.example)
    kinds = {Classified: classes.told, Estimated: numbers.told, Segmented: segments.told, Detections: boxes.told}
    return kinds[type(answer)](answer, picture, run.classes, limits)


def write(told: Any, file: Asked, home: Path) -> dict[str, Any]:
    """Writes JSON and pictures about an image file; returns the JSON, which names the files."""
    from fjdl.files import write_atomically
    from fjdl.train.json_files import encode_json

    base = home / file.name
    files = {name: base.with_name(f"{base.name}_{name}.png") for name in told.pictures}
    numbers = {"image": file.path, **told.numbers, **files}
    make(base.parent)
    for name, content in told.pictures.items():
        write_atomically(files[name], content)
    write_atomically(base.with_name(f"{base.name}.json"), encode_json(numbers, indent=2))
    return numbers


def make(home: Path) -> None:
    """Makes the folder where there is none; raises `StorageError` where that is not possible."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{home} cannot be made: {error.strerror or error}") from error


def _check(options: Options, files: list[Asked]) -> None:
    """Before anything is computed: numbers in range, and no file that would be written over."""
    if not files:
        raise UsageError("files must name at least one file, got none")
    if options.top < 1 or not 0 <= options.least <= 1:
        raise UsageError(f"top must be at least 1 and least must lie in [0, 1], got {options.top} and {options.least}")
    first: dict[Path, Path] = {}
    for path, name in files:
        other = first.setdefault(name, path)
        if other is not path:
            raise UsageError(f"files must have different names without their endings, got {other} and {path}")
    taken = next(_taken(options, first), None)
    if taken is not None and not options.overwrite:
        raise UsageError(f"{taken} is there already; --overwrite replaces it, --out names another folder")


def _taken(options: Options, names: dict[Path, Path]) -> Iterator[Path]:
    """Files that would be written over."""
    for name in names:
        base = folder(options) / name
        yield from (path for ending in ENDINGS if (path := base.with_name(f"{base.name}{ending}")).exists())


if __name__ == "__main__":
    run_guarded(main)
