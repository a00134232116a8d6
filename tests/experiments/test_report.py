from pathlib import Path
from typing import Any

import pytest

from experiments.fingerprint import earlier_fingerprints, fingerprint
from experiments.pages.markdown import markers, replace_table
from experiments.report import rows, spread
from fjdl.train.documents import write_sealed
from fjdl.train.json_files import encode_json
from tests.experiments.support import Command, sentence

START, END = markers()

CONFIG: dict[str, Any] = {"config": "configs/digits_mlp.py", "sha256": "ab", "arguments": {"seed": 0, "epochs": 3}}
RESULT = {
    "data": "digits",
    "seed": 0,
    "precision": "float32",
    "parameters": 12345,
    "headline": "accuracy",
    "best_step": 20,
    "best_epoch": 2,
    "epochs": 3,
    "examples": {},
    "validation": {},
    "test": {"accuracy": 0.95},
    "seconds": 10.0,
    "commit": None,
    "hardware": "2 cores, X",
    "command": "python -m experiments.train configs/digits_mlp.py --epochs 3",
}


def make_run(path: Path, *, seed: int = 0, arguments: dict[str, Any] | None = None, **changes: Any) -> Path:
    path.mkdir()
    config = {**CONFIG, "arguments": {**CONFIG["arguments"], "seed": seed, **(arguments or {})}}
    (path / "config.json").write_text(encode_json(config))
    result = {**RESULT, "seed": seed, "state": f"{seed:064x}", **changes}
    if "accuracy" in result["test"]:  # a proportion, which a result tells with an interval
        result = {**result, "test": {"accuracy_interval": [0.0, 1.0], "count": 40, **result["test"]}}
    (path / "result.json").write_text(encode_json(result))
    return path


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def table(command: Command, *runs: Path) -> list[list[str]]:
    outcome = command("report", *runs)
    assert outcome.status == 0
    header, rule, *lines = outcome.out.splitlines()
    assert header.count("|") == rule.count("|") == 9
    return [cells(line) for line in lines]


def test_seeds_of_an_experiment_become_mean_and_sample_standard_deviation(tmp_path: Path, command: Command) -> None:
    runs = [
        make_run(tmp_path / str(seed), seed=seed, test={"accuracy": accuracy}, seconds=10.0 * seed)
        for seed, accuracy in [(2, 0.96), (1, 0.94), (3, 0.98)]
    ]
    (row,) = table(command, *runs)
    assert row == [
        "digits_mlp", "accuracy 96.00 ± 2.00 %", "3 (seeds 1, 2, 3)", "not run", "12,345", "20 ± 10 s", "2 cores, X",
        "`python -m experiments.train configs/digits_mlp.py --epochs 3 --seed N`",
    ]  # fmt: skip


def test_one_seed_has_no_deviation(tmp_path: Path, command: Command) -> None:
    (row,) = table(command, make_run(tmp_path / "a"))
    assert row[1:3] == ["accuracy 95.00 %", "1 (seeds 0)"]


@pytest.mark.parametrize(
    "changes",
    [{"arguments": {"epochs": 4}}, {"hardware": "8 x TPU"}, {"arguments": {"precision": "bfloat16"}}],
    ids=["argument", "hardware", "precision"],
)
def test_runs_that_differ_in_more_than_the_seed_are_rows_of_their_own(
    changes: dict[str, Any], tmp_path: Path, command: Command
) -> None:
    runs = [
        make_run(tmp_path / "a", seed=0),
        make_run(tmp_path / "b", seed=1, **changes),
        make_run(tmp_path / "c", seed=2),
    ]
    assert [row[2] for row in table(command, *runs)] == ["2 (seeds 0, 2)", "1 (seeds 1)"]


def test_bfloat16_is_named(tmp_path: Path, command: Command) -> None:
    (row,) = table(command, make_run(tmp_path / "a", precision="bfloat16"))
    assert row[0] == "digits_mlp bfloat16"


def test_quantization_is_the_mean_change_of_accuracy_in_points(tmp_path: Path, command: Command) -> None:
    runs = [make_run(tmp_path / str(seed), seed=seed) for seed in range(2)]
    for run, absmax in zip(runs, (0.94, 0.95), strict=True):
        forms = [("float32", 0.5), ("int8 absmax", absmax), ("int8 zero-point", 0.96)]
        quantized = [{"parameters": name, "accuracy": accuracy} for name, accuracy in forms]
        (run / "quantized.json").write_text(encode_json(quantized))
    (row,) = table(command, *runs)
    assert row[3] == "-0.50 / +1.00 (n = 2)"


def test_the_quantized_column_says_from_how_many_runs_and_takes_eight_bits_alone(
    tmp_path: Path, command: Command
) -> None:
    runs = [make_run(tmp_path / str(seed), seed=seed) for seed in range(3)]
    for run, bits in zip(runs, (8, 4), strict=False):
        rows = [{"parameters": f"int{bits} {kind}", "accuracy": 0.90} for kind in ("absmax", "zero-point")]
        (run / "quantized.json").write_text(encode_json(rows))
    (row,) = table(command, *runs)
    assert row[2:4] == ["3 (seeds 0, 1, 2)", "-5.00 / -5.00 (n = 1)"]


def test_a_quantization_of_another_state_is_refused(tmp_path: Path, command: Command) -> None:
    run = make_run(tmp_path / "a")
    write_sealed(run / "quantized.json", {"step": 10, "state": "ab", "rows": []})
    outcome = command("report", run)
    assert outcome.status == 4
    assert f"{run / 'quantized.json'} is of another state than result.json" in sentence(outcome)
    write_sealed(run / "quantized.json", {"step": 10, "state": f"{0:064x}", "rows": []})
    assert command("report", run).status == 0


def test_one_run_given_twice_counts_once_and_an_unfinished_one_is_left_out_with_a_line(
    tmp_path: Path, command: Command
) -> None:
    run, other = make_run(tmp_path / "a", seed=0), make_run(tmp_path / "b", seed=1)
    copy, unfinished = make_run(tmp_path / "copy", seed=0), tmp_path / "unfinished"
    unfinished.mkdir()
    outcome = command("report", run, unfinished, other, copy, run)
    assert outcome.status == 0
    assert cells(outcome.out.splitlines()[2])[2] == "2 (seeds 0, 1)"
    assert outcome.err.splitlines() == [
        f"warning: {unfinished} has no result.json, so it is no finished run; left out",
        f"warning: {copy} is the same run as {run}, with the state {'0' * 16}; left out",
        f"warning: {run} is the same run as {run}, with the state {'0' * 16}; left out",
    ]


def test_a_command_that_is_none_is_refused(tmp_path: Path, command: Command) -> None:
    outcome = command("report", make_run(tmp_path / "a", command="python 'x"))
    assert outcome.status == 6
    assert f"the command in the result of {tmp_path / 'a'} cannot be read" in sentence(outcome)


def test_runs_that_an_older_version_hashed_share_a_row_with_todays(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(CONFIG["config"])
    today, (old, *_) = fingerprint(path.read_bytes()), earlier_fingerprints(path.read_bytes())
    runs = []
    for seed, sha256 in enumerate((today, old)):
        monkeypatch.setitem(CONFIG, "sha256", sha256)
        runs.append(make_run(tmp_path / str(seed), seed=seed))
    (row,) = table(command, *runs)
    assert row[2] == "2 (seeds 0, 1)"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("--run-dir runs/a --seed 3", ""),
        ("--run-dir=runs/a --seed=3", ""),
        ("--epochs 3 --run-dir 'my runs/a' --precision bfloat16", " --epochs 3 --precision bfloat16"),
        ("'--run-dir=my runs/a' --seed 12", ""),
        ("--seeds 3", " --seeds 3"),
    ],
)
def test_the_command_leaves_run_directory_and_seed_open(
    given: str, shown: str, tmp_path: Path, command: Command
) -> None:
    (row,) = table(command, make_run(tmp_path / "a", command=f"python -m experiments.train c.py {given}"))
    assert row[-1] == f"`python -m experiments.train c.py{shown} --seed N`"


def test_a_bar_in_a_command_does_not_end_its_cell(tmp_path: Path, command: Command) -> None:
    (row,) = table(command, make_run(tmp_path / "a", command="python 'a|b.py'"))
    assert row[-1] == r"`python 'a\|b.py' --seed N`"


def test_the_table_between_the_markers_is_replaced_and_all_else_stays(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "results.md"
    path.write_text(f"# Title\n\nBefore.\n{START}\nold\n{END}\nAfter.\n")
    run = make_run(tmp_path / "a")
    outcome = command("report", run, "--write", path)
    expected = f"# Title\n\nBefore.\n{START}\n\n{outcome.out.strip()}\n\n{END}\nAfter.\n"
    assert path.read_text() == expected
    assert command("report", run, "--write", path).status == 0
    assert path.read_text() == expected


def test_a_file_that_is_not_there_is_begun(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "results.md"
    outcome = command("report", make_run(tmp_path / "a"), "--write", path)
    assert path.read_text() == f"{START}\n\n{outcome.out.strip()}\n\n{END}\n"


def test_a_real_run_fits(trained_run: Path, command: Command) -> None:
    (row,) = table(command, trained_run)
    assert row[0] == "digits_logistic"
    assert row[4] == "650"
    assert row[-1] == "`python -m experiments.train configs/digits_logistic.py --epochs 2 --seed N`"


def test_spread_rounds_as_asked() -> None:
    assert spread([1.0, 2.0, 3.0], digits=1) == "2.0 ± 1.0"
    assert spread([0.125], scale=100, digits=0) == "12"


def test_experiments_keep_the_order_in_which_they_are_given() -> None:
    results = [
        {**RESULT, "config": {**CONFIG, "config": f"configs/{name}.py"}, "quantized": []} for name in ("z", "a", "m")
    ]
    assert [cells(line)[0] for line in rows(results)[2:]] == ["z", "a", "m"]


def test_each_section_of_a_file_is_replaced_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    (a, b), (c, d) = markers("one"), markers("two")
    path.write_text(f"{a}\n{b}\nBetween.\n{c}\n{d}\n")
    replace_table(path, "new", section="two")
    assert path.read_text() == f"{a}\n{b}\nBetween.\n{c}\n\nnew\n\n{d}\n"
