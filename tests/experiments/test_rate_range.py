from pathlib import Path

import matplotlib.image

from tests.experiments.support import Command, sentence

CONFIG = "configs/digits_logistic.py"


def test_prints_two_rates_and_draws_the_curve(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "lr.png"
    outcome = command(
        "rate_range", CONFIG, "--out", path, "--optimizer", "momentum", "--optimizer-options", "momentum", "0.8",
        "--low", "1e-5", "--high", "100", "--steps", "60",
    )  # fmt: skip
    assert outcome.status == 0
    title, steepest, lowest, written = outcome.out.splitlines()
    assert title.startswith("digits, momentum: ")
    assert title.endswith(" of 60 steps before divergence")
    for line in (steepest, lowest):
        assert 1e-4 < float(line.split()[-1]) < 100
    assert written == str(path)
    assert matplotlib.image.imread(path)[..., :3].std() > 0.05
    assert list(tmp_path.iterdir()) == [path]


def test_an_optimizer_that_does_not_exist_and_options_that_do_not_fit_are_one_sentence(
    tmp_path: Path, command: Command
) -> None:
    outcome = command("rate_range", CONFIG, "--out", tmp_path / "lr.png", "--optimizer", "adamx")
    assert outcome.status == 2
    assert "optimizer must be one of" in sentence(outcome)
    assert "scale_by" not in sentence(outcome)
    outcome = command("rate_range", CONFIG, "--out", tmp_path / "lr.png", "--optimizer", "adamw")
    assert outcome.status == 2
    assert "--optimizer-options do not fit: adamw: argument `weight_decay` is missing" in sentence(outcome)
