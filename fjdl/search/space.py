"""Where options of a run are drawn from: each factory returns a function from [0, 1) to values of one option."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fjdl.checks import within

Space = Callable[[float], Any]  # the quantile function of an option: equal parts of [0, 1) are equally likely


class Uniform(NamedTuple):
    """Numbers of [low, high)."""

    low: float
    high: float

    def __call__(self, share: float) -> float:
        """The number below which so large a share of the draws lies."""
        return float(self.low + (self.high - self.low) * share)

    def suggested(self, trial: Any, name: str) -> float:
        """What a trial of Optuna suggests."""
        return trial.suggest_float(name, self.low, self.high)


class LogUniform(NamedTuple):
    """Positive numbers of [low, high) by their logarithm."""

    low: float
    high: float

    def __call__(self, share: float) -> float:
        """The number below which so large a share of the draws lies."""
        return float(self.low * (self.high / self.low) ** share)

    def suggested(self, trial: Any, name: str) -> float:
        """What a trial of Optuna suggests."""
        return trial.suggest_float(name, self.low, self.high, log=True)


class Integer(NamedTuple):
    """Integers from `low` to `high`, both included."""

    low: int
    high: int

    def __call__(self, share: float) -> int:
        """The integer in whose part of [0, 1) the share lies."""
        return int(self.low + math.floor((self.high - self.low + 1) * share))

    def suggested(self, trial: Any, name: str) -> int:
        """What a trial of Optuna suggests."""
        return trial.suggest_int(name, self.low, self.high)


class Choice(NamedTuple):
    """One of some values."""

    values: tuple[Any, ...]

    def __call__(self, share: float) -> Any:
        """The value in whose part of [0, 1) the share lies."""
        return self.values[math.floor(len(self.values) * share)]

    def suggested(self, trial: Any, name: str) -> Any:
        """What a trial of Optuna suggests."""
        return trial.suggest_categorical(name, self.values)


def uniform(low: float, high: float) -> Uniform:
    """A number of [low, high), each equally likely; raises `ValueError` unless `low < high`, both finite.

    >>> uniform(0.0, 10.0)(0.25)
    2.5
    """
    _require_order(low, high)
    return Uniform(low, high)


def log_uniform(low: float, high: float) -> LogUniform:
    """A number of [low, high) whose logarithm is uniform, as suits learning rates and strengths of penalties.

    Raises `ValueError` unless `0 < low < high`, both finite.

    >>> log_uniform(0.01, 1.0)(0.5)
    0.1
    """
    within("(0, inf)", low=low)
    _require_order(low, high)
    return LogUniform(low, high)


def integer(low: int, high: int) -> Integer:
    """An integer from `low` to `high`, both included, each equally likely; raises `ValueError` unless `low <= high`.

    >>> integer(1, 4)(0.5)
    3
    """
    if not low <= high:
        raise ValueError(f"low must be at most high, got low={low} and high={high}")
    return Integer(low, high)


def choice(values: Sequence[Any]) -> Choice:
    """One of the values, each equally likely; raises `ValueError` for none.

    >>> choice(("relu", "tanh"))(0.75)
    'tanh'
    """
    if not values:
        raise ValueError("values must hold at least one, got none")
    return Choice(tuple(values))


def suggested_objective(
    objective: Callable[..., Any], *, space: Mapping[str, Uniform | LogUniform | Integer | Choice]
) -> Callable[[Any], float]:
    """`objective(**point)` as a function of a trial of Optuna, whose samplers then draw the points.

    `study.optimize(suggested_objective(loss, space=space), n_trials=50)` takes it; Optuna is needed by the caller
    alone. The trial's `suggest_float`, `suggest_int` and `suggest_categorical` are asked in the order of the names,
    with the bounds of the space, and a number is returned as a Python float.

    >>> class Middle:  # a trial that suggests the middle of each range
    ...     def suggest_float(self, name, low, high, log=False):
    ...         return (low + high) / 2
    >>> suggested_objective(lambda rate: 10 * rate, space={"rate": uniform(0.0, 1.0)})(Middle())
    5.0
    """
    return lambda trial: float(objective(**{name: space[name].suggested(trial, name) for name in sorted(space)}))


def _require_order(low: float, high: float) -> None:
    if not (low < high and math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"low must be smaller than high, both finite, got low={low} and high={high}")
