"""What a training prints, and the trace that it leaves on request."""

from pathlib import Path

from tests.experiments.support import Command, sentence


def test_a_header_and_a_trace_of_the_steps_that_were_asked_for(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    outcome = command("train", "configs/iris_mlp.py", "--epochs", 3, "--run-dir", run, "--profile", "8:9")
    assert outcome.status == 0, outcome.err
    first, data, *_ = outcome.out.splitlines()
    assert (first, data.split()[:2]) == ("training configs/iris_mlp.py ...", ["data", "iris:"])
    assert f"\nrun       {run}\ncompiling ...\n" in outcome.out
    assert f"xprof --port 8791 {run / 'profile'}" in outcome.out
    assert outcome.out.splitlines()[-1].startswith(f"next: python -m experiments.plot {run}; likewise evaluate, ")
    assert "stopped early" not in outcome.out
    assert list((run / "profile").rglob("*.xplane.pb"))
    outcome = command("train", "configs/iris_mlp.py", "--run-dir", tmp_path / "other", "--profile", "8:900000")
    assert (outcome.status, sentence(outcome)[:31]) == (2, "profile must be START:STOP, ste")
    assert not (tmp_path / "other").exists()


def test_a_training_that_stops_early_says_when_and_which_epoch_was_the_best(command: Command, tmp_path: Path) -> None:
    still = ("--learning-rate", "1e-30", "--weight-decay", "0", "--patience", 2, "--epochs", 9)
    outcome = command("train", "configs/iris_logistic.py", *still, "--run-dir", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    assert "\nstopped early at epoch 3 of 9: no epoch after 1 was better\n" in outcome.out
