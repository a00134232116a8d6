"""Draw a page of pictures: `python -m experiments.pages.gallery activations --out docs/activations.png`."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.command import run_guarded


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw a page that shows what the library computes, made by the library's own functions."""

    what: tyro.conf.Positional[Literal["activations", "schedules"]]
    """The page."""
    out: Path
    """The PNG file to write."""


def main() -> None:
    """Draws and says where."""
    options = tyro.cli(Options, args=sys.argv[1:])
    from fjdl.plots.files import save

    save(draw(options.what), options.out)
    print(options.out)


def draw(what: str) -> Any:
    """The figure of a page."""
    from fjdl.plots.pages.activations import activation_panels
    from fjdl.plots.pages.schedules import schedule_panels

    pages = {
        "activations": activation_panels,
        "schedules": schedule_panels,
    }
    return pages[what]()


if __name__ == "__main__":
    run_guarded(main)
