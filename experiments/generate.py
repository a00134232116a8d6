"""Text of a run's best epoch: `python -m experiments.generate runs/shakespeare --prompt "ROMEO:" --temperature 0.8`."""

import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.evaluate import load_run
from experiments.mistakes import users_mistakes
from fjdl.checks import at_least, within
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Write text with the best epoch of a run: what continues the prompt, or answers such as translations."""

    run: tyro.conf.Positional[Path]
    """The run directory."""
    prompt: str
    """The text that is continued, or answered."""
    temperature: float | None = None
    """How much chance there is: 1 draws by the model's probabilities, 0 takes the most probable token each time."""
    top_k: int | None = None
    """Only so many most probable tokens are drawn."""
    top_p: float | None = None
    """Only the most probable tokens that have this probability together are drawn."""
    min_p: float | None = None
    """Only tokens with at least this share of the probability of the most probable one are drawn."""
    repetition: float | None = None
    """What logits of tokens that have occurred are divided by, above 1 for fewer repetitions."""
    length: int | None = None
    """Most tokens that are written."""
    beams: int | None = None
    """Width of a beam search, which takes the place of drawing."""
    count: int = 1
    """How many texts, each in lines of its own: drawn independently, or the best of the beam search."""
    seed: int = 0
    """What is drawn; the same seed gives the same text."""


def main() -> None:
    """Prints each text; behind the first one, a line with its log probability stands before each."""
    options = tyro.cli(Options, args=sys.argv[1:])
    _check(options)
    run = load_run(options.run)
    generation = run.recipe.generation
    if generation is None:
        raise UsageError(f"{options.run} writes no text: its recipe has no generation")
    from fjdl.train.state import evaluated_params
    from fjdl.train.writing import written

    with users_mistakes():
        texts = written(
            generation,
            search_of(options, generation),
            evaluated_params(run.state),
            run.state.stats,
            options.prompt,
            count=options.count,
            seed=options.seed,
        )
    for number, (text, score) in enumerate(texts, 1):
        if options.count > 1:
            print(f"--- {number}, log probability {score:.3f}")
        print(text)


def search_of(options: Options, generation: Any) -> Any:
    """How tokens are chosen: as the options say, and where they say nothing as the generation does."""
    from fjdl import decoding
    from fjdl.train.writing import Search

    asked = {"top_k": ("count", options.top_k), "top_p": ("mass", options.top_p), "min_p": ("share", options.min_p)}
    filters = [
        partial(getattr(decoding, name), **{key: value}) for name, (key, value) in asked.items() if value is not None
    ]
    drawn = bool(filters) or options.temperature is not None or options.repetition is not None
    return Search(
        length=generation.length if options.length is None else options.length,
        beams=options.beams if drawn or options.beams is not None else generation.beams,
        temperature=1.0 if options.temperature is None else options.temperature,
        filters=tuple(filters),
        repetition=options.repetition,
    )


def _check(options: Options) -> None:
    with users_mistakes():
        at_least(1, count=options.count, length=options.length, beams=options.beams, **{"top-k": options.top_k})
        within("(0, 1]", **{"top-p": options.top_p})
        within("[0, 1]", **{"min-p": options.min_p})
        within("[0, inf)", temperature=options.temperature)
        within("(0, inf)", repetition=options.repetition)
    drawn = {name: getattr(options, name) for name in ("temperature", "top_k", "top_p", "min_p", "repetition")}
    given = [f"--{name.replace('_', '-')}" for name, value in drawn.items() if value is not None]
    if options.beams is not None and given:
        raise UsageError(f"beams must not be given together with {given[0]}, a beam search draws nothing")


if __name__ == "__main__":
    run_guarded(main)
