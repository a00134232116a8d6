"""The command that searches hyper-parameters."""

import json
import math
import statistics
from pathlib import Path

import jax
import matplotlib.image
import numpy as np
import pytest

from fjdl import search
from fjdl.train.documents import read_sealed
from fjdl.train.json_files import read_jsonl
from tests.experiments.support import USAGE, Command, sentence

CONFIG = "configs/digits_logistic.py"
ONE = ("--devices", 1, "--no-plots")
RATES = (0.03, 0.003, 1e-05)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, private_folders: None) -> Path:
    """A sweep of three rates from two seeds."""
    from tests.experiments import support

    out = tmp_path_factory.mktemp("sweep") / "rates"
    words = ["sweep.py", *GRID, "--out", out, "--devices", 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [*map(str, words)])
        assert support.invoke("sweep") == 0
    return out


GRID = (CONFIG, "--grid", f"learning_rate={','.join(map(str, RATES))}", "--epochs", 3, "--seeds", 2)


def test_each_point_has_the_mean_of_what_a_training_reaches_on_validation_data(swept: Path, command: Command) -> None:
    """Two of them are trained by the command for one training, too."""
    found = read_sealed(swept / "sweep.json", {"trials": list})
    assert [trial["point"]["learning_rate"] for trial in found["trials"]] == list(RATES)
    for trial in found["trials"]:
        assert trial["mean"] == pytest.approx(statistics.fmean(trial["scores"]))
        assert trial["std"] == pytest.approx(statistics.stdev(trial["scores"]))
        assert trial["epochs"] == 3
    for rate, seed in ((0.03, 1), (1e-05, 0)):
        run = swept.parent / f"{rate}-{seed}"
        flags = ("--learning-rate", rate, "--seed", seed, "--epochs", 3, "--run-dir", run)
        assert command("train", CONFIG, *flags).status == 0
        reached = [record["validation_accuracy"] for record in read_jsonl(run / "metrics.jsonl")]
        scores = next(trial["scores"] for trial in found["trials"] if trial["point"]["learning_rate"] == rate)
        assert scores[seed] == pytest.approx(max(reached), abs=0.006)  # an example or two of 269
    assert found["best"] == f"python -m experiments.train {CONFIG} --epochs 3 --learning-rate 0.03"
    for name in ("marginals", "parallel"):
        assert matplotlib.image.imread(swept / "plots" / f"{name}.png")[..., :3].std() > 0.05


def test_the_test_part_is_never_looked_at(tmp_path: Path, command: Command) -> None:
    config = tmp_path / "guarded.py"
    text = Path(CONFIG).read_text().replace("splits=digits,", "splits=guarded,")
    config.write_text(
        text
        + """

def guarded():
    import dataclasses

    from fjdl.data.source import Source

    def refuse(index):
        raise RuntimeError("the test part was read")

    return dataclasses.replace(digits(), test=Source(360, refuse))
"""
    )
    outcome = command("sweep", config, "--out", tmp_path / "out", "--grid", "learning_rate=0.01", "--epochs", 1, *ONE)
    assert outcome.status == 0, outcome.err


def test_the_same_command_again_trains_nothing_and_goes_on_where_a_crash_stopped_it(
    swept: Path, tmp_path: Path, command: Command
) -> None:
    records = (swept / "trials.jsonl").read_bytes().splitlines(keepends=True)
    outcome = command("sweep", *GRID, "--out", swept, "--devices", 1)
    assert outcome.status == 0
    assert "trainings of trials" not in outcome.out
    assert (swept / "trials.jsonl").read_bytes() == b"".join(records)
    whole = (swept / "sweep.json").read_bytes()
    (swept / "trials.jsonl").write_bytes(records[0] + records[1][:-9])  # the second line was cut short
    outcome = command("sweep", *GRID, "--out", swept, "--devices", 1)
    assert outcome.out.count("trial ") == 2
    again = [json.loads(line) for line in (swept / "trials.jsonl").read_text().splitlines()]
    for record, line in zip(again, records, strict=True):
        assert record["curves"] == json.loads(line)["curves"]
    old, new = json.loads(whole), json.loads((swept / "sweep.json").read_bytes())
    assert [trial["scores"] for trial in old["trials"]] == [trial["scores"] for trial in new["trials"]]


def test_another_space_in_the_same_folder_is_refused_in_one_sentence(swept: Path, command: Command) -> None:
    before = (swept / "trials.jsonl").read_bytes()
    outcome = command("sweep", CONFIG, "--grid", "learning_rate=0.5", "--epochs", 3, "--seeds", 2, "--out", swept, *ONE)
    assert outcome.status == USAGE
    assert "belongs to another configuration (sweep.grid.learning_rate: " in sentence(outcome)
    assert (swept / "trials.jsonl").read_bytes() == before


def test_bad_trials_are_given_up_and_rounds_close_in(tmp_path: Path, command: Command) -> None:
    """As `successive_halving` decides on the recorded scores; draws are those of fjdl.search."""
    flags = (
        "--random",
        4,
        "--log-uniform",
        "learning_rate=1e-6:1",
        "--coarse-to-fine",
        2,
        "--halving",
        2,
        "--epochs",
        4,
    )
    outcome = command("sweep", CONFIG, "--out", tmp_path, *flags, *ONE)
    assert outcome.status == 0, outcome.err
    records = read_jsonl(tmp_path / "trials.jsonl")
    scores = {(record["trial"], record["epochs"]): record["scores"][0] for record in records}
    for number in (0, 1):
        trials = [{"trial": trial} for trial in range(4 * number, 4 * number + 4)]
        found = search.successive_halving(lambda trial, budget: -scores[trial, budget], trials, budget=4, factor=2)
        epochs = {record["trial"]: record["epochs"] for record in records if record["round"] == number}
        assert epochs == dict(zip((point["trial"] for point in trials), found.budgets, strict=True))
    rates = [record["point"]["learning_rate"] for record in records if record["epochs"] == 1]
    space = {"learning_rate": search.log_uniform(1e-6, 1.0)}
    shares = search.draw_shares(jax.random.fold_in(jax.random.key(0), 0), space, trials=4)
    assert rates[:4] == [search.point_at(space, each)["learning_rate"] for each in shares]
    assert math.log10(max(rates[4:]) / min(rates[4:])) <= 3  # half of six decades
    assert "1 programs compiled" in outcome.out
    best = read_sealed(tmp_path / "sweep.json", {})["trials"][0]
    assert best["epochs"] == 4
    assert best["mean"] == max(score for (_, epochs), score in scores.items() if epochs == 4)


def test_folds_and_values_that_make_other_programs(tmp_path: Path, command: Command) -> None:
    """A value that the recipe refuses is told of its trial; the others go on."""
    flags = ("--grid", "batch_size=0,64", "learning_rate=0.01,-1", "--folds", 3, "--epochs", 1)
    outcome = command("sweep", CONFIG, "--out", tmp_path, *flags, *ONE)
    assert outcome.status == 0, outcome.err
    best, *refused = read_sealed(tmp_path / "sweep.json", {})["trials"]
    assert (best["point"], len(best["scores"]), best["error"]) == ({"batch_size": 64, "learning_rate": 0.01}, 3, None)
    errors = {(each["point"]["batch_size"], each["point"]["learning_rate"]): each["error"] for each in refused}
    assert errors.keys() == {(0, 0.01), (0, -1.0), (64, -1.0)}
    assert "batch_size must be at least 1, got 0" in errors[0, 0.01]
    assert "got -1.0" in errors[64, -1.0]
    assert "refused: batch_size must be at least 1" in outcome.out


def test_streamed_data_are_read_into_memory_where_that_is_asked_for(tmp_path: Path, command: Command) -> None:
    config = tmp_path / "streamed.py"
    text = Path(CONFIG).read_text().replace("splits=digits,", "splits=streamed,")
    config.write_text(
        text
        + """

def streamed():
    import dataclasses

    return dataclasses.replace(digits(), train=digits().train._replace(streamed=True))
"""
    )
    words = (config, "--out", tmp_path / "out", "--grid", "learning_rate=0.01", "--epochs", 1, *ONE)
    outcome = command("sweep", *words)
    assert outcome.status == USAGE
    assert "digits is streamed, and a sweep needs its data on the devices: add --in-memory" in sentence(outcome)
    assert command("sweep", *words, "--in-memory").status == 0
    assert read_sealed(tmp_path / "out" / "sweep.json", {})["trials"][0]["mean"] > 0.5


def test_data_that_depend_on_what_is_varied_are_made_for_each_value(tmp_path: Path, command: Command) -> None:
    """Labels are shifted by a number: nothing is learned where those of the validation part are not shifted as well."""
    config = tmp_path / "shifted.py"
    text = Path(CONFIG).read_text().replace("splits=digits,", "splits=lambda: shifted(share),")
    text = text.replace("learning_rate: float = 1e-2,", "learning_rate: float = 1e-2, share: float = 0.0,")
    config.write_text(
        text
        + """

def shifted(share):
    import dataclasses

    from fjdl.data.source import from_arrays, to_arrays

    arrays = to_arrays(digits().train)
    label = (arrays["label"] + round(10 * share)) % 10
    return dataclasses.replace(digits(), train=from_arrays({**arrays, "label": label.astype("int32")}))
"""
    )
    flags = ("--grid", "share=0.0,0.3", "learning_rate=0.01,0.02", "--epochs", 3)
    outcome = command("sweep", config, "--out", tmp_path / "out", *flags, *ONE)
    assert outcome.status == 0, outcome.err
    assert "2 programs compiled" in outcome.out
    for trial in read_sealed(tmp_path / "out" / "sweep.json", {})["trials"]:
        assert trial["mean"] > 0.8 if trial["point"]["share"] == 0 else trial["mean"] < 0.3


@pytest.mark.slow
def test_several_devices_train_what_one_trains(tmp_path: Path, command: Command) -> None:
    for devices in (1, 3):
        words = ("--out", tmp_path / str(devices), "--devices", devices, "--halving", 3, "--no-plots")
        assert command("sweep", *GRID, *words).status == 0
    one, three = (
        {(r["trial"], r["epochs"]): r["curves"] for r in read_jsonl(tmp_path / str(devices) / "trials.jsonl")}
        for devices in (1, 3)
    )
    assert one.keys() == three.keys()
    for place, curves in one.items():
        np.testing.assert_allclose(three[place], curves, atol=0.006)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", "a sweep varies arguments by --grid, or by --random with"),
        ("--grid learning_rat=1", "learning_rat is no argument of the config, which has batch_size, epochs,"),
        ("--grid learning_rat=1", "did you mean learning_rate?"),
        ("--grid learning_rate=fast", "learning_rate must be number, got 'fast'"),
        ("--grid learning_rate", "--grid takes name=value,value, got 'learning_rate'"),
        (
            "--grid precision=float31",
            "precision must be one of ['float32', 'tensorfloat32', 'bfloat16', 'float16'], got",
        ),
        ("--grid seed=1,2", "seed is not varied, --seeds trains each point from several"),
        ("--grid batch_size=1 --random 2", "a grid has all of its own, got a grid with --random"),
        ("--grid batch_size=1 --integers batch_size=1:2", "batch_size must be varied by one flag, got it twice"),
        ("--uniform learning_rate=0:1", "got ranges without --random"),
        ("--random 2 --uniform learning_rate=1", "learning_rate must have a range low:high, got '1'"),
        ("--random 2 --log-uniform learning_rate=0:1", "learning_rate: low must be positive and finite, got 0.0"),
        ("--random 2 --uniform batch_size=1:9", "--uniform is for numbers, batch_size is whole number: use --integers"),
        ("--random 0 --integers batch_size=1:9", "--random must be at least 1, got 0"),
        ("--grid batch_size=8 --least 2", "--least says how long trials are trained before --halving gives them up"),
        ("--grid batch_size=8 --halving 3 --least 101", "least must not exceed the budget, got 101 and 100"),
        ("--grid batch_size=8 --halving 1", "--halving must be at least 2, got 1"),
        ("--grid batch_size=8 --coarse-to-fine 2", "--coarse-to-fine draws points in rounds and needs --random"),
        ("--grid batch_size=8 --seeds 0", "--seeds must be at least 1, got 0"),
    ],
)
def test_wrong_flags_are_one_sentence_and_write_nothing(
    flags: str, expected: str, tmp_path: Path, command: Command
) -> None:
    outcome = command("sweep", CONFIG, "--out", tmp_path / "out", *flags.split(), *ONE)
    assert outcome.status == USAGE
    assert expected in sentence(outcome)
    assert not (tmp_path / "out").exists()
