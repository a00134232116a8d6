"""How fast examples are made."""

import re

from experiments import loading
from fjdl.data.source import from_arrays
from tests.experiments.support import Command, sentence
from tests.train.toy import digit_arrays, recipe


def test_each_number_of_workers_has_its_rate(command: Command) -> None:
    outcome = command("loading", "configs/digits_logistic.py", "--try-workers", 0, "--seconds", 0.05)
    assert outcome.status == 0, outcome.err
    head, line = outcome.out.splitlines()
    assert re.fullmatch(r"1,168 examples in batches of 64; \d+ cores", head)
    assert re.fullmatch(r"  0 workers: +[\d,]+ examples/s, first batch after \d+\.\d s", line)


def test_examples_that_only_fill_a_batch_up_do_not_count() -> None:
    """Ten examples in batches of eight: of two steps each, the second has two."""
    few = from_arrays({name: array[:10] for name, array in digit_arrays().items()})
    made: list[float] = []

    class Clock:
        @staticmethod
        def monotonic() -> float:
            made.append(0.0)
            return float(len(made))

    before, loading.time = loading.time, Clock  # type: ignore[assignment]
    try:
        speed = loading.measure(recipe(batch_size=8), few, workers=0, seconds=0.0)
    finally:
        loading.time = before
    assert speed == (0, 1.0, (2 + 8) / 2.0)


def test_senseless_numbers_are_one_sentence(command: Command) -> None:
    for flags in (("--seconds", 0), ("--try-workers", -1)):
        outcome = command("loading", "configs/digits_logistic.py", *flags)
        assert (outcome.status, sentence(outcome)[:24]) == (2, "seconds must be positive")
