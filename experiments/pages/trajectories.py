"""Draw how optimizers move: `python -m experiments.pages.trajectories --out docs/optimizers.png`."""

import dataclasses
import sys
from pathlib import Path

import tyro

from experiments.command import run_guarded


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw the paths of the library's optimizers on curves and surfaces, from real runs."""

    out: Path
    """The PNG file to write."""


def main() -> None:
    """Draws and says where."""
    options = tyro.cli(Options, args=sys.argv[1:])
    from fjdl.plots.files import save
    from fjdl.plots.pages.trajectories import optimizer_panels

    save(optimizer_panels(), options.out)
    print(options.out)


if __name__ == "__main__":
    run_guarded(main)
