import shutil
from pathlib import Path

import matplotlib.image

from tests.experiments.support import Command, snapshot


def test_every_figure_is_a_readable_png_with_the_same_bytes_each_time(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = snapshot(run)
    outcome = command("plot", run)
    assert outcome.status == 0
    paths = [Path(line) for line in outcome.out.splitlines()]
    assert [path.name for path in paths] == ["learning_curves.png", "confusion.png", "mistakes.png"]
    assert {path.parent for path in paths} == {run / "plots"}
    for path in paths:
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 100
        assert pixels[..., :3].std() > 0.01
    assert {name: digest for name, digest in snapshot(run).items() if not name.startswith("plots/")} == before

    drawn = snapshot(run)
    assert command("plot", run).status == 0
    assert snapshot(run) == drawn
