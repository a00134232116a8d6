from tests.experiments.support import Command, sentence


def test_seeds_are_timed_by_one_program_and_summed_up(command: Command) -> None:
    flags = ("--seeds", 2, "--epochs", 1, "--goal", 0.01, "--peak", 1e12)
    outcome = command("speedrun", "configs/iris_logistic.py", *flags)
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["seed 0", "seed 1"]
    assert "n = 2: 1.0 % reached" in lines[2]
    assert lines[-1].startswith("compilation ")


def test_there_must_be_a_seed(command: Command) -> None:
    outcome = command("speedrun", "configs/iris_logistic.py", "--seeds", 0)
    assert outcome.status == 2
    assert "seeds must be at least 1, got 0" in sentence(outcome)
