"""Find a learning rate: `python -m experiments.rate_range configs/digits_lenet.py --out lr.png` prints and draws."""

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from experiments.command import parse, run_guarded
from experiments.mistakes import users_mistakes
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Train briefly at rates from far too small to far too large, and suggest two between them."""

    config: tyro.conf.Positional[Path]
    """The config file."""
    out: Path
    """The PNG file to write."""
    optimizer: str = "adam"
    """The optimizer of fjdl.optim that takes the place of the config's, whose rate is built in."""
    optimizer_options: dict[str, float] = dataclasses.field(default_factory=dict)
    """Its options, such as `momentum 0.95`."""
    low: float = 1e-6
    """The first rate."""
    high: float = 10.0
    """The last rate."""
    steps: int = 200
    """Training steps from the first rate to the last."""


def main() -> None:
    """Prints the suggestions and draws the curve."""
    options, experiment = parse(Options, sys.argv[1:])
    from fjdl.plots.files import save
    from fjdl.plots.rate_range import range_figure
    from fjdl.train.rate_range import learning_rate_range

    recipe = dataclasses.replace(experiment.recipe, splits=functools.cache(experiment.recipe.splits))
    factory = optimizer_of(options.optimizer, options.optimizer_options)
    with users_mistakes():
        result = learning_rate_range(recipe, factory, low=options.low, high=options.high, steps=options.steps)
    counted = int(result.counted)
    suggestions = {
        "steepest descent": float(result.steepest),
        "lowest loss, a tenth of its rate": float(result.largest),
    }
    print(f"{recipe.splits().name}, {options.optimizer}: {counted} of {options.steps} steps before divergence")
    for name, rate in suggestions.items():
        print(f"  {name:34} {rate:.2e}")
    curves = (result.rates[:counted], result.losses[:counted], result.smoothed[:counted])
    title = f"Range test, {recipe.splits().name}, {options.optimizer}"
    save(range_figure(*curves, suggestions=suggestions, title=title), options.out)
    print(options.out)


def optimizer_of(name: str, options: dict[str, float]) -> Callable[[Any], Any]:
    """The optimizer as a function of its learning rate."""
    from fjdl import optim

    known = [other for other in optim.__all__ if is_optimizer(other, getattr(optim, other))]
    if name not in known:
        raise UsageError(f"optimizer must be one of {', '.join(known)}, got {name}")
    factory = functools.partial(getattr(optim, name), **options)
    try:
        with users_mistakes():
            factory(1e-3)
    except (UsageError, TypeError) as error:
        raise UsageError(f"--optimizer-options do not fit: {error}") from error
    return factory


def is_optimizer(name: str, member: Any) -> bool:
    """Whether it is a whole optimizer, a function whose first argument is the learning rate."""
    if name.startswith("scale_by_") or not callable(member):
        return False
    return next(iter(inspect.signature(member).parameters), "") == "learning_rate"


if __name__ == "__main__":
    run_guarded(main)
