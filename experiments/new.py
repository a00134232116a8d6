"""Write a config for your own data: `python -m experiments.new my_config --data flowers.csv --label species`.

The config is `my_config.py` in the present folder, and `python -m experiments.train my_config.py` trains it at once.
"""

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.mistakes import users_mistakes
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Write a config for your own data, which it looks at once.

    `--data` is a folder of images with a folder for each class, or with train/, val/ and test/ of these; a table in
    CSV, TSV or Parquet; images in Parquet, or a folder of such files; or arrays in .npz.
    """

    name: tyro.conf.Positional[str]
    """The name of the config; NAME.py is written into the present folder."""
    data: Path
    """Your data: a file, or a folder."""
    label: str | None = None
    """The column of the classes of a table; that of images in Parquet is `label`."""
    target: str | None = None
    """The column of the numbers that are to be predicted."""
    size: int = 32
    """Side of the images that the network sees, in pixels."""
    pretrained: Path | None = None
    """A run, or weights that experiments.export has written, that training on images begins with, but for its head."""
    overwrite: bool = False
    """Whether a config that is there already is replaced."""


def main() -> None:
    """Looks at the data, writes the config and says what it has chosen."""
    options = tyro.cli(Options, args=sys.argv[1:])
    path = path_of(options)
    from fjdl.files import write_atomically

    with users_mistakes():
        written = config_for(path.stem, options)
    write_atomically(path, written.text)
    for note in written.notes:
        print(note)
    print(f"{path} is written; python -m experiments.train {path} trains it, with --help it shows what may be changed")
    print(f"python -m experiments.check {path} reads all of the data first and says what is wrong with them")


def path_of(options: Options) -> Path:
    """The file of the config; raises `UsageError` for a name that is none and for a file that is there."""
    path = Path(options.name if options.name.endswith(".py") else f"{options.name}.py")
    if not re.fullmatch(r"[A-Za-z_]\w*", path.stem):
        raise UsageError(f"name must be of letters, digits and _, as names of Python are, got {options.name!r}")
    if path.exists() and not options.overwrite:
        raise UsageError(f"{path} is there already; --overwrite replaces it")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} must be a folder, got no such folder")
    return path


def config_for(name: str, options: Options) -> Any:
    """The config for the kind of data that the path has."""
    from experiments.templates import images, tables, vectors
    from fjdl.data import own
    from fjdl.data.own.table_files import PARQUET

    data = options.data
    if options.pretrained is not None:
        return finetuned(name, options)
    if not data.exists():
        raise UsageError(f"data must be a file or a folder, got {data}, which does not exist")
    if data.is_dir():
        parquet = any(data.rglob("*.parquet"))
        return images.of_folder(name, data, size=options.size, reader="parquet_images" if parquet else "image_folder")
    if data.suffix.lower() == ".npz":
        splits = own.arrays(data)
        return (images if "image" in splits.train.element(0) else vectors).of_arrays(name, data, splits)
    if data.suffix.lower() in PARQUET and tables.holds_images(data):
        return images.of_folder(name, data, size=options.size, reader="parquet_images")
    return tables.of_table(name, data, label=options.label, target=options.target)


def finetuned(name: str, options: Options) -> Any:
    """The config for images, which begins with trained weights; raises `UsageError` where there are none."""
    from experiments.templates import images

    assert options.pretrained is not None
    if not options.pretrained.exists():
        raise UsageError(
            f"pretrained must be a run or a file of weights, got {options.pretrained}, which does not exist"
        )
    written = config_for(name, dataclasses.replace(options, pretrained=None))
    return images.beginning_with(written, options.pretrained)


if __name__ == "__main__":
    run_guarded(main)
