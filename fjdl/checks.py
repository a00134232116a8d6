"""Checks of options. Each takes the options by name and raises one sentence for the first that breaks the rule.

    within("[0, 1)", rate=rate)          # rate must lie in [0, 1), got 1.5
    within("(0, inf)", beta=beta)        # beta must be positive and finite, got 0
    at_least(1, steps=steps)             # steps must be at least 1, got 0
    one_of(("max", "min"), mode=mode)    # mode must be 'max' or 'min', got 'sum'

A number is checked where its value is known. A traced one passes, so that it can be learned or scheduled under
`jax.jit` and `jax.grad`; so does a schedule in the place of a number.
"""

import operator
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

_WORDS = {
    "(0, inf)": "be positive and finite",
    "[0, inf)": "be finite and not negative",
    "(0, inf]": "be positive",
    "[0, inf]": "not be negative",
}


def within(interval: str, /, **options: Any) -> None:
    """Raises `ValueError` unless each option lies in `interval`, such as "[0, 1)" or "(0, inf)"; NaN never does.

    A sequence lies in it if all its entries that are known do. None, an option that is not given, passes.
    """
    rule, holds = _interval(interval)
    for name, option in options.items():
        value = _to_check(option)
        if value is not None and not np.all(holds(value)):
            raise ValueError(f"{name} must {rule}, got {_shown(option)}")


def at_least(least: float, /, **options: Any) -> None:
    """Raises `ValueError` for an option below `least`, and for NaN; None passes."""
    for name, option in options.items():
        value = _to_check(option)
        if value is not None and not np.all(value >= least):
            raise ValueError(f"{name} must be at least {least}, got {_shown(option)}")


def one_of(choices: Sequence[object], /, **options: object) -> None:
    """Raises `ValueError` for an option that equals none of `choices`."""
    for name, option in options.items():
        if option not in choices:
            *first, last = [repr(choice) for choice in choices]
            listed = f"{', '.join(first)} or {last}" if first else last
            raise ValueError(f"{name} must be {listed}, got {option!r}")


def known(option: Any) -> Any:
    """A number, or a sequence of them, as Python or NumPy has it; None where one is traced, and for anything else."""
    if isinstance(option, int | float | np.ndarray | np.generic):
        return option
    if isinstance(option, tuple | list):
        entries = [known(entry) for entry in option]
        return None if any(entry is None for entry in entries) else np.asarray(entries)
    if isinstance(option, Tracer) or not isinstance(option, jax.Array) or not option.is_fully_addressable:
        return None
    return jax.device_get(option)


def _to_check(option: Any) -> Any:
    """What is known of an option: of a sequence, the entries that are."""
    if isinstance(option, tuple | list):
        return np.asarray([value for value in map(known, option) if value is not None])
    return known(option)


@cache
def _interval(text: str) -> tuple[str, Callable[[Any], Any]]:
    """What a number in the interval must do, in words, and whether one does."""
    ends = re.fullmatch(r"([(\[])(\S+), (\S+)([)\]])", text)
    if ends is None:
        raise ValueError(f"interval must be written as [low, high) or with other brackets, got {text!r}")
    low, high = float(ends[2]), float(ends[3])
    above = operator.ge if ends[1] == "[" else operator.gt
    below = operator.le if ends[4] == "]" else operator.lt
    return _WORDS.get(text, f"lie in {text}"), lambda value: above(value, low) & below(value, high)


def _shown(option: Any) -> str:
    return str(option.item()) if isinstance(option, jax.Array) and option.size == 1 else str(option)
