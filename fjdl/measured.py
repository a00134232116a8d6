"""Choices by measurement: what is fastest on XLA:CPU differs from one version of jaxlib to the next."""

import re
from collections.abc import Mapping
from typing import TypeVar

from jaxlib.version import __version__ as INSTALLED

Choice = TypeVar("Choice")


def measured(choices: Mapping[str, Choice], *, version: str = INSTALLED) -> Choice:
    """The choice for this version of jaxlib: that of the newest measured one which is not newer, else of the oldest.

    The keys name every version for which the choice was measured: `measured({"0.10.2": 24, "0.12.0": 48})` is 24 on
    jaxlib 0.9, 0.10 and 0.11, and 48 from 0.12.0 on. Raises `ValueError` for no versions, and for one that is none.
    """
    if not choices:
        raise ValueError("choices must name a version of jaxlib at least, got none")
    ascending = sorted(choices, key=_numbers)
    older = [name for name in ascending if _numbers(name) <= _numbers(version)]
    return choices[older[-1] if older else ascending[0]]


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, without what marks candidates and nightly builds."""
    release = re.match(r"\d+(\.\d+)+", version)
    if release is None:
        raise ValueError(f"a version must begin with numbers as in 0.10.2, got {version!r}")
    return tuple(int(number) for number in release[0].split("."))
