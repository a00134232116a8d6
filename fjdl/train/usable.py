"""Data without the examples that cannot be used, each of which is told."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fjdl.data.faults import bad_left_out
from fjdl.data.source import PARTS, Source, Splits, subset
from fjdl.errors import DataError
from fjdl.train.inspection import check_examples
from fjdl.train.recipe import Recipe

SKIP_BAD = "skip_bad"  # in the config.json of a run whose data are left out so
_TOGETHER = 1024  # examples in memory that are looked at together


def without_bad_examples(recipe: Recipe) -> Recipe:
    """The recipe whose data leave out what cannot be read and what breaks a rule, with a sentence in `left_out`.

    That is one that raises `DataError` when it is made, a label that is none of the task, and a number that makes
    the model's inputs NaN or infinite. Every example is made once when the data are loaded, which raises `DataError`
    where nothing of a part can be used.
    """

    def splits() -> Splits:
        with bad_left_out():
            found = recipe.splits()
        return usable(recipe, found)

    return dataclasses.replace(recipe, splits=splits)


def usable(recipe: Recipe, splits: Splits) -> Splits:
    """The data set without what `without_bad_examples` leaves out."""
    parts, left_out = {}, list(splits.left_out)
    for part in PARTS:
        source = getattr(splits, part)
        faults = faults_of(recipe, source, part=part)
        good = np.array([number for number in range(source.length) if number not in faults], np.int64)
        if not good.size:
            raise DataError(
                f"{splits.name}: an example of the {part} part must be usable, got {next(iter(faults.values()))}"
            )
        parts[part] = subset(source, good) if faults else source
        left_out += [
            f"{sentence}; example {number} of the {part} part is left out" for number, sentence in faults.items()
        ]
    return dataclasses.replace(splits, **parts, left_out=tuple(left_out))


def faults_of(recipe: Recipe, source: Source, *, part: str) -> dict[int, str]:
    """A sentence for each example of a part that cannot be used, by its number; several are made at a time."""

    def fault(number: int) -> tuple[int, str] | None:
        numbers = np.array([number])
        try:
            check_examples(source.element(numbers), numbers, inputs=recipe.inputs, loss=recipe.loss, part=part)
        except DataError as error:
            return number, str(error)
        return None

    def look(numbers: np.ndarray) -> list[tuple[int, str]]:
        try:
            check_examples(source.element(numbers), numbers, inputs=recipe.inputs, loss=recipe.loss, part=part)
        except DataError:
            return [found for number in numbers.tolist() if (found := fault(number)) is not None]
        return []

    size = 1 if source.streamed else _TOGETHER
    chunks = [np.arange(start, min(start + size, source.length)) for start in range(0, source.length, size)]
    with ThreadPoolExecutor() as pool:
        return dict(found for each in pool.map(look, chunks) for found in each)
