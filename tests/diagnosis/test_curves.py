"""Findings of records that were made for them."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from fjdl.diagnosis import divergence, gradient_spikes, oscillation, overfitting, plateau, too_short

Numbers = Sequence[float]


def records(**series: Numbers) -> list[dict[str, Any]]:
    """One record for each epoch, with the numbers under their names."""
    length = len(next(iter(series.values())))
    return [{"epoch": n + 1, **{name: values[n] for name, values in series.items()}} for n in range(length)]


FALLING = [2.0 * 0.8**n for n in range(20)]


@pytest.mark.parametrize(
    ("losses", "bad", "trouble"),
    [
        (FALLING, 0, False),
        ([2.0, 1.0, 2.5], 0, True),  # above the first and twice the lowest
        ([2.0, 1.0, 1.9], 0, False),  # twice the lowest alone is no divergence
        ([2.0, math.nan], 0, True),
        ([2.0, 1.0], 3, True),
    ],
    ids=["falls", "leaves", "wanders", "not finite", "refused"],
)
def test_divergence(losses: Numbers, bad: int, trouble: bool) -> None:
    found = divergence(records(train_loss=losses, train_bad=[bad] * len(losses)))
    assert found.trouble is trouble
    assert bool(found.advice) is trouble
    assert found.numbers["refused"] == bad * len(losses)


def test_divergence_says_what_it_saw() -> None:
    assert divergence(records(train_loss=[2.0, 1.0, 2.5])).words == (
        "the training loss went from 2 to 2.5, at its lowest 1; no step had to be refused as not finite"
    )


@pytest.mark.parametrize(
    ("losses", "trouble"),
    [
        (FALLING, False),
        ([2.0] * 10 + [1.0, 0.5] * 5, True),  # changes of 0.5 around 0.75, up in 4 of 9 epochs
        ([2.0] * 10 + [1.0, 0.98] * 5, False),  # of 2 %
        ([2.0] * 10 + [0.01, 0.005] * 5, False),  # below 1 % of the first loss
        ([2.0, 1.0, 2.0], False),
    ],
    ids=["falls", "swings", "swings a little", "learned", "too few"],
)
def test_oscillation(losses: Numbers, trouble: bool) -> None:
    assert oscillation(records(train_loss=losses)).trouble is trouble


def test_oscillation_gives_the_share_of_rises_and_their_size() -> None:
    numbers = oscillation(records(train_loss=[2.0] * 10 + [1.0, 0.5] * 5)).numbers
    assert numbers == {"rises": pytest.approx(4 / 9), "swing": pytest.approx(0.5 / 0.75)}


@pytest.mark.parametrize(
    ("losses", "still"),
    [(FALLING, 0), ([2.0, 1.5] + [1.0] * 8, 7), ([1.0] * 10, 9), ([2.0, 1.5] + [1.0] * 3, 2)],
    ids=["falls", "stands", "never fell", "three epochs"],
)
def test_plateau(losses: Numbers, still: int) -> None:
    found = plateau(records(train_loss=losses))
    assert found.numbers["still"] == still
    assert found.trouble is (still >= 5)


def test_what_is_learned_is_no_plateau() -> None:
    found = plateau(records(train_loss=[2.0, 1.5] + [0.01] * 8))
    assert (found.trouble, found.numbers["still"]) == (False, 7)


@pytest.mark.parametrize(
    ("losses", "trouble"),
    [(FALLING, True), ([*FALLING, 0.2], False), ([1.0] * 20, False), ([1.0], False), ([1.0, 0.5], True)],
    ids=["falls", "rose at the end", "stands", "one epoch", "two epochs"],
)
def test_too_short(losses: Numbers, trouble: bool) -> None:
    assert too_short(records(validation_loss=losses)).trouble is trouble


def test_too_short_gives_the_fall_in_the_last_fifth() -> None:
    assert too_short(records(validation_loss=FALLING)).numbers["fall"] == pytest.approx(1 - 0.8**4)


@pytest.mark.parametrize(
    ("train", "validation", "trouble"),
    [
        ([3.0, 2.0, 1.0], [3.0, 2.0, 2.2], True),
        ([3.0, 2.0, 1.0], [3.0, 2.0, 2.09], False),  # GL of 4.5
        ([3.0, 1.0, 1.5], [3.0, 2.0, 2.2], False),  # both rose
        ([3.0, 2.0, 1.0], [3.0, 2.0, 1.0], False),
    ],
    ids=["rises", "a little", "both rise", "falls"],
)
def test_overfitting(train: Numbers, validation: Numbers, trouble: bool) -> None:
    assert overfitting(records(train_loss=train, validation_loss=validation)).trouble is trouble


def test_overfitting_names_the_epoch_and_the_rise() -> None:
    found = overfitting(records(train_loss=[3.0, 2.0, 1.0], validation_loss=[3.0, 2.0, 2.2]))
    assert found.numbers == {"rise": pytest.approx(0.1), "best_epoch": 2}
    assert found.words.startswith("the validation loss was lowest at epoch 2 (2) and is 10 % above that at epoch 3")


def test_gradient_spikes() -> None:
    found = gradient_spikes(records(train_gradient_norm=[1.0, 2.0, 3.0, 40.0, 2.0]))
    assert (found.trouble, found.numbers["ratio"]) == (True, 20)
    assert not gradient_spikes(records(train_gradient_norm=[1.0, 2.0, 3.0])).trouble
    assert not gradient_spikes(records(train_gradient_norm=[0.0, 0.0])).trouble


@pytest.mark.parametrize("question", [divergence, oscillation, plateau, too_short, overfitting, gradient_spikes])
def test_records_without_the_numbers_are_refused(question: Any) -> None:
    with pytest.raises(ValueError, match="records must have "):
        question([{"epoch": 1}])


@pytest.mark.parametrize("question", [divergence, oscillation, plateau, gradient_spikes])
def test_records_of_nan_alone_have_an_answer(question: Any) -> None:
    found = question(records(train_loss=[math.nan] * 2, train_gradient_norm=[math.nan] * 2))
    assert found.trouble is (question is divergence)
