import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import jax
import matplotlib.image
import numpy as np
import pytest

from experiments import tuning
from experiments.command import load_config
from experiments.fingerprint import earlier_fingerprints
from experiments.pages.markdown import markers
from experiments.pages.optimizers import SECTION, optimizers, rows
from experiments.rate_range import is_optimizer
from experiments.tuning import (
    Bench,
    Effort,
    Trained,
    best_power,
    finished_runs,
    next_power,
    prepare,
    recorded,
    trainer,
    tuned_rate,
)
from fjdl import optim
from fjdl.schedules import cosine
from fjdl.train.documents import read_sealed
from fjdl.train.json_files import encode_json, read_jsonl
from fjdl.train.loop import fit
from fjdl.train.rundir import open_run
from tests.experiments.support import Command, sentence
from tests.support import own_names

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom

CONFIG = Path("configs/digits_logistic.py")
FLAGS = ("--config", CONFIG, "--epochs", "1", "--trial-epochs", "1", "--range-steps", "20", "--only", "sgd", "adam")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Small enough for a test: 128 examples of each part."""
    recipe = load_config(CONFIG)(seed=0, epochs=2)
    whole = recipe.splits()
    parts = {name: getattr(whole, name)._replace(length=128) for name in ("train", "validation", "test")}
    splits = dataclasses.replace(whole, **parts)
    recipe = dataclasses.replace(recipe, splits=lambda: splits)
    return prepare(recipe, tmp_path_factory.mktemp("bench") / "records.jsonl", Effort(1, 2, 1, 20))


def test_a_comparison_is_tuned_trained_written_drawn_and_taken_up(tmp_path: Path, command: Command) -> None:
    run, page, picture = tmp_path / "run", tmp_path / "page.md", tmp_path / "curves.png"
    compare = functools.partial(command, "pages.optimizers", *FLAGS, "--run-dir", run, "--write", page)
    first = compare("--seeds", 1, "--out", picture)
    assert first.status == 0
    records = read_jsonl(run / "metrics.jsonl")
    for name in ("sgd", "adam"):
        mine = [record for record in records if record["optimizer"] == name]
        kinds = [record["what"] for record in mine]
        assert kinds == ["range", *["trial"] * (len(mine) - 2), "run"]
        trials = {record["rate"]: record["accuracy"] for record in mine[1:-1]}
        suggestion, chosen = mine[0]["rate"], mine[-1]["rate"]
        np.testing.assert_allclose(list(trials)[:3], [suggestion / 3, suggestion, suggestion * 3])
        assert trials[chosen] == max(trials.values())
    start, end = markers(SECTION)
    assert page.read_text().startswith(start)
    assert page.read_text().endswith(f"{end}\n")
    assert page.read_text().count("| sgd |") == page.read_text().count("| adam |") == 1
    assert f"`{CONFIG}`. Epochs of a run: 1" in page.read_text()
    assert matplotlib.image.imread(picture)[..., :3].std() > 0.03

    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"optimizer": "sgd", "what": "ru')  # a crash
    second = compare("--seeds", 2)
    assert second.status == 0
    assert [line.split(",")[0] for line in second.out.splitlines() if "test accuracy 0" in line] == [
        "sgd: seed 1",
        "adam: seed 1",
    ]
    after = read_jsonl(run / "metrics.jsonl")
    assert after[: len(records)] == records
    assert [(record["optimizer"], record["what"], record["seed"]) for record in after[len(records) :]] == [
        ("sgd", "run", 1),
        ("adam", "run", 1),
    ]
    config = read_sealed(run / "config.json", {})
    older = {**config, "sha256": min(earlier_fingerprints(Path(CONFIG).read_bytes()))}
    (run / "config.json").write_text(encode_json(older))
    third = compare("--seeds", 2)
    assert third.out == second.out[second.out.index("| optimizer") :]
    assert read_jsonl(run / "metrics.jsonl") == after

    other = command("pages.optimizers", *FLAGS, "--run-dir", run, "--epochs", 2)
    assert other.status == 2
    assert "belongs to another configuration" in sentence(other)

    (run / "metrics.jsonl").write_text('{"optimizer": 3, "what": "run"}\n')
    damaged = compare("--seeds", 2)
    assert damaged.status == 6
    assert f"a line of {run / 'metrics.jsonl'} must have 'optimizer' of type str" in sentence(damaged)


def test_the_compiled_training_is_that_of_fit_for_every_seed(bench: Bench, tmp_path: Path) -> None:
    rate, train = 0.3, trainer(bench, optim.momentum, epochs=2)
    for seed in (0, 3):
        recipe = dataclasses.replace(
            bench.recipe,
            seed=seed,
            optimizer=lambda steps: optim.momentum(lambda step: rate * cosine(peak=1.0, steps=steps)(step)),
        )
        with open_run(tmp_path / str(seed), command=["test"], config={}) as run:
            state = fit(recipe, run)
            records = read_jsonl(run.metrics)
        trained = train(seed, rate)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), trained.state.params, state.params
        )
        for name in ("accuracy", "loss"):
            expected = [record[f"validation_{name}"] for record in records]
            np.testing.assert_allclose(trained.validation[name], expected, rtol=1e-5)


def test_tuning_never_sees_the_test_part(bench: Bench) -> None:
    data = {name: bench.data[name] for name in ("train", "validation")}
    rate, reached = tuned_rate(bench._replace(data=data), "sgd", optim.sgd)
    assert 1e-5 < rate < 300
    trials = recorded(bench, "sgd", "trial")
    best = max(sorted(trials, key=lambda trial: trial["rate"]), key=lambda trial: trial["accuracy"])
    assert (rate, reached) == (best["rate"], best["accuracy"])
    nothing = bench._replace(data={"train": None, "validation": None})
    assert tuned_rate(nothing, "sgd", optim.sgd) == (rate, reached)  # recorded


def test_a_rate_that_a_long_training_does_not_bear_is_divided_by_three(bench: Bench, monkeypatch: Any) -> None:
    def train(seed: int, rate: float) -> Trained:
        return Trained(None, {"accuracy": [0.6, 0.1 if rate > 0.2 else 0.9]}, 0.0)

    monkeypatch.setattr(tuning, "tuned_rate", lambda *_: (1.0, 0.5))
    monkeypatch.setattr(tuning, "trainer", lambda *_, **__: train)
    monkeypatch.setattr(tuning, "evaluate", lambda *_: {"accuracy": 0.8, "loss": 0.2})
    tuning.compare(bench, "steep", optim.sgd)
    runs = finished_runs(bench, "steep")
    assert [run["seed"] for run in runs] == list(range(bench.effort.seeds))
    np.testing.assert_allclose([run["rate"] for run in runs], 1 / 9)


def test_rates_are_tried_further_while_the_best_is_at_an_end() -> None:
    def searched(accuracy: Any) -> list[int]:
        trials: dict[int, float] = {}
        while (power := next_power(trials)) is not None:
            trials[power] = accuracy(power)
        return list(trials)

    assert searched(lambda power: -abs(power)) == [-1, 0, 1]
    assert searched(lambda power: -abs(power - 2)) == [-1, 0, 1, 2, 3]
    assert searched(lambda power: -abs(power + 3)) == [-1, 0, 1, -2, -3, -4]
    assert len(searched(lambda power: power)) == 8
    assert best_power({1: 0.5, 0: 0.5, -1: 0.2}) == 0


def test_rows_are_ranked_and_have_means_with_deviations() -> None:
    def run(accuracy: float) -> dict[str, Any]:
        test = {"accuracy": accuracy, "loss": 0.25}
        return {"rate": 0.0123, "test": test, "validation": {"accuracy": [0.5, 0.9]}}

    header, rule, *lines = rows({"sgd": [run(0.9)], "adam": [run(0.94), run(0.96), run(0.98)]})
    assert header.count("|") == rule.count("|") == 6
    assert lines == [
        "| adam | 0.012 | 96.00 ± 2.00 % | 0.2500 ± 0.0000 | 50.00 ± 0.00 % |",
        "| sgd | 0.012 | 90.00 % | 0.2500 | 50.00 % |",
    ]


def test_every_optimizer_that_a_mini_batch_can_train_with_is_compared() -> None:
    known = {name for name in own_names(optim) if is_optimizer(name, getattr(optim, name))}
    compared = {name.split(",")[0] for name in optimizers()}
    whole_batch = {"lbfgs", "newton", "rprop"}
    assert known - whole_batch - {"heavy_ball"} == compared - {"lookahead"}
    params = {"layer": {"kernel": np.ones((3, 2), np.float32), "bias": np.zeros(2, np.float32)}}
    for factory in optimizers().values():
        optimizer = factory(lambda step: 0.1 / (1 + step))
        state = optimizer.init(params)
        updates = jax.eval_shape(lambda o=optimizer, s=state: o.update(params, s, params)[0])
        assert jax.tree.structure(updates) == jax.tree.structure(params)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (("--only", "adamx"), "only must name optimizers among sgd; momentum; "),
        (("--seeds", 0), "seeds must be at least 1, got 0"),
        (("--range-steps", 1), "range-steps must be at least 2, got 1"),
        (("--out", "curves.pdf"), "out must end in .png, got curves.pdf"),
        (("--write", "LICENSE"), "LICENSE must contain the lines <!-- generated optimizers: start -->"),
        (("--config", "configs/nothing.py"), "config configs/nothing.py does not exist"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(
    arguments: tuple[object, ...], rule: str, tmp_path: Path, command: Command
) -> None:
    outcome = command("pages.optimizers", *arguments, "--run-dir", tmp_path / "run")
    assert outcome.status == 2
    assert rule in sentence(outcome)
    assert not (tmp_path / "run").exists()


def test_optimizers_are_compared_by_the_headline_of_the_recipe_whatever_it_is(bench: Bench, tmp_path: Path) -> None:
    recipe = dataclasses.replace(bench.recipe, metrics={}, monitor="loss", mode="min")
    other = prepare(recipe, tmp_path / "records.jsonl", bench.effort)
    assert (other.headline, other.better(0.5)) == ("loss", -0.5)
    for power, loss in ((-1, 3.0), (0, 1.0), (1, 2.0)):
        tuning.record(other, "sgd", "trial", {"power": power, "rate": 10.0**power, "loss": loss})
    tuning.record(other, "sgd", "range", {"rate": 1.0})
    assert tuned_rate(other, "sgd", optim.sgd) == (1.0, -1.0)


def test_a_loss_that_never_falls_starts_in_the_middle_of_the_range(bench: Bench, tmp_path: Path) -> None:
    from experiments.tuning import suggested_rate

    still = bench._replace(records=tmp_path / "records.jsonl")
    rate = suggested_rate(still, "still", lambda rate: optim.sgd(lambda step: 0.0 * rate(step)))
    assert math.isfinite(rate)
