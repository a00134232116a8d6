"""Findings of scores, layers, losses of a few examples and answers, at numbers worked out by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fjdl import diagnosis
from fjdl.diagnosis.scores import chance_of


@pytest.mark.parametrize(
    ("training", "validation", "aim", "count", "trouble", "first"),
    [
        (0.99, 0.90, 1.0, 1000, True, "close the gap first"),
        (0.80, 0.79, 1.0, 1000, True, "fit the training part first"),
        (0.80, 0.79, 0.81, 1000, False, ""),
        (0.99, 0.95, 1.0, 50, False, ""),  # two standard errors are 6 points
        (0.70, 0.90, 0.70, 1000, False, ""),
        (0.90, 0.85, 1.0, 10000, True, "fit the training part first"),
    ],
    ids=["variance", "bias", "the aim is reached", "chance", "better in validation", "both"],
)
def test_score_gap(training: float, validation: float, aim: float, count: int, trouble: bool, first: str) -> None:
    found = diagnosis.score_gap(training, validation, count=count, aim=aim)
    assert found.trouble is trouble
    assert found.words.endswith(f"; {first}" if first else "more in validation")
    assert found.numbers == {"bias": round(aim - training, 6), "variance": round(training - validation, 6)}


def test_loss_gap() -> None:
    assert diagnosis.loss_gap(0.1, 0.2).trouble
    assert not diagnosis.loss_gap(0.1, 0.12).trouble
    assert diagnosis.loss_gap(0.0, 0.5).trouble
    assert not diagnosis.loss_gap(-1.0, -0.5).trouble


@pytest.mark.parametrize(("test", "trouble"), [(0.90, False), (0.86, True)])
def test_different_parts_is_a_z_test_of_two_proportions(test: float, trouble: bool) -> None:
    found = diagnosis.different_parts(0.90, test, counts=(1000, 1000))
    assert found.trouble is trouble
    table = [[900, 100], [1000 * test, 1000 - 1000 * test]]
    assert found.numbers["z"] ** 2 == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)


def test_parts_without_a_mistake_do_not_differ() -> None:
    assert not diagnosis.different_parts(1.0, 1.0, counts=(10, 10)).trouble


def test_dead_units_name_the_layers() -> None:
    found = diagnosis.dead_units({"a": [1.0, 1.0, 0.5, 0.2], "b": [0.9] * 10})
    assert (found.trouble, found.words) == (True, "2 of 14 ReLU units are 0 for all examples: a 50 %")
    assert not diagnosis.dead_units({"b": [1.0] + [0.9] * 9}).trouble


def test_saturated_units() -> None:
    found = diagnosis.saturated_units({"a": [0.1, 0.3], "b": [0.9, 0.3]})
    assert (found.trouble, found.numbers["worst"]) == (True, pytest.approx(0.6))
    assert not diagnosis.saturated_units({"a": [0.1, 0.3]}).trouble


@pytest.mark.parametrize(
    ("sizes", "trouble", "words"),
    [
        ({"a": 1e-5, "b": 1e-2, "c": 0.1}, True, "vanishes"),
        ({"a": 10.0, "b": 1.0, "c": 1e-4}, True, "explodes"),
        ({"a": 0.01, "b": 0.1}, False, "a gradient's typical entry is 0.01 in a and 0.1 in b, the largest"),
        ({"a": math.inf, "b": 1.0}, True, "not finite in a"),
        ({"a": 0.0, "b": 0.0}, True, "0 in every layer"),
        ({"a": 0.0, "b": 1.0}, True, "vanishes"),
    ],
    ids=["vanishes", "explodes", "flows", "infinite", "zero", "a layer of zeros"],
)
def test_gradient_flow(sizes: Mapping[str, float], trouble: bool, words: str) -> None:
    found = diagnosis.gradient_flow(sizes)
    assert found.trouble is trouble
    assert words in found.words


@pytest.mark.parametrize(
    ("losses", "score", "trouble", "words"),
    [
        ([2.0, 1.0, 0.5], 1.0, False, "can learn"),
        ([2.0, 1.0, 0.01], None, False, "can learn"),
        ([2.0, 1.0, 0.5], 0.9, True, "too slowly"),
        ([2.0, 1.99], 0.1, True, "hardly moved"),
        ([2.0, math.nan], 1.0, True, "not finite"),
    ],
    ids=["all right", "no loss left", "slow", "stuck", "diverged"],
)
def test_can_learn(losses: Sequence[float], score: float | None, trouble: bool, words: str) -> None:
    found = diagnosis.can_learn(losses, score=score, name="accuracy", unmoved=("dense/kernel",) if trouble else ())
    assert found.trouble is trouble
    assert words in found.words
    assert found.words.endswith("; the first gradient is 0 in dense/kernel") is trouble


def test_calibration_error_is_told_beside_what_chance_leaves() -> None:
    found = diagnosis.miscalibration([0.9, 0.6, math.nan], [0.7, 0.6, math.nan], [300, 100, 0])
    chance = (300 * math.sqrt(2 * 0.09 / (math.pi * 300)) + 100 * math.sqrt(2 * 0.24 / (math.pi * 100))) / 400
    assert found.trouble
    assert found.numbers == {
        "error": pytest.approx(0.15),
        "chance": pytest.approx(chance),
        "surplus": pytest.approx(0.15),
    }
    assert "15 % too sure" in found.words
    assert not diagnosis.miscalibration([0.9], [0.8], [10]).trouble  # 10 points of 10 examples are chance


def test_what_chance_leaves_is_the_error_of_a_perfect_model() -> None:
    rng, n = np.random.default_rng(0), 200
    errors = [abs(rng.binomial(n, 0.8) / n - 0.8) for _ in range(4000)]
    assert diagnosis.miscalibration([0.8], [0.8], [n]).numbers["chance"] == pytest.approx(np.mean(errors), rel=0.05)


def test_weak_classes_name_what_they_are_taken_for() -> None:
    found = diagnosis.weak_classes([[98, 1, 1], [2, 97, 1], [0, 40, 60]], classes=("a", "b", "c"))
    assert found.trouble
    assert found.words == (
        "classes with a low recall: c 60 % (n = 100), taken for b 40 times; all classes together 85 %"
    )
    assert not diagnosis.weak_classes([[970, 0], [1, 29]], classes=("a", "b")).trouble  # one mistake is chance
    assert not diagnosis.weak_classes([[5, 0], [0, 0]], classes=("a", "b")).trouble


@pytest.mark.parametrize(("mistakes", "size", "p"), [(9, 60, 0.07), (270, 3000, 0.08), (0, 5, 0.5)])
def test_the_test_of_weak_classes_is_binomial(mistakes: int, size: int, p: float) -> None:
    assert chance_of(mistakes, size, p) == pytest.approx(stats.binom.sf(mistakes - 1, size, p), rel=0.1)


def test_suspect_labels() -> None:
    assert diagnosis.suspect_labels(20, count=1000).words == (
        "20 of 1000 labels (2 %) disagree with what the model is sure of"
    )
    assert diagnosis.suspect_labels(20, count=1000).trouble
    assert not diagnosis.suspect_labels(5, count=1000).trouble


@pytest.mark.parametrize(
    "call",
    [
        lambda: diagnosis.score_gap(1.5, 0.5, count=3),
        lambda: diagnosis.different_parts(0.5, 0.5, counts=(0, 3)),
        lambda: diagnosis.dead_units({}),
        lambda: diagnosis.saturated_units({"a": []}),
        lambda: diagnosis.gradient_flow({}),
        lambda: diagnosis.can_learn([1.0]),
        lambda: diagnosis.miscalibration([0.5], [0.5], [0]),
        lambda: diagnosis.weak_classes([[0, 0], [0, 0]], classes=("a", "b")),
        lambda: diagnosis.suspect_labels(3, count=2),
    ],
    ids=[*"123456789"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"must (lie|hold|have|count|be)"):
        call()
