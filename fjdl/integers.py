"""Checks for integers of 64 bits: unless `jax_enable_x64` is set, JAX keeps 32 bits of them and gives no warning."""

from typing import Any

import jax
import numpy as np


def require_fit(name: str, numbers: Any, dtype: Any, *, remedy: str | None = None) -> None:
    """Raises `ValueError` unless the concrete `numbers`, an array or of Python, fit the integer `dtype`.

    The sentence ends with the `remedy`: 64 bits where the dtype has 32, by default.
    """
    numbers, limits = np.asarray(numbers), np.iinfo(dtype)
    if not numbers.size:
        return
    low, high = int(numbers.min()), int(numbers.max())
    if limits.min <= low and high <= limits.max:
        return
    if remedy is None:
        remedy = "; set jax_enable_x64 for 64 bits" if limits.bits == 32 else ""
    raise ValueError(f"{name} must fit {limits.dtype}, got {low if low < limits.min else high}{remedy}")


def is_cut_off(value: Any) -> bool:
    """Whether JAX keeps 32 bits of the value: a NumPy array of 64-bit integers, or a tuple with one, without x64."""
    if isinstance(value, tuple):
        return any(is_cut_off(entry) for entry in value)
    if type(value) is not np.ndarray:
        return False
    return value.dtype.itemsize == 8 and value.dtype.kind in "iu" and not jax.config.jax_enable_x64  # type: ignore[attr-defined]


def require_kept(name: str, value: Any, *, sentence: str = "{}") -> None:
    """Raises `ValueError` where JAX would change a number of a NumPy array, or of one in a tuple.

    The name is written in place of the braces of `sentence`.
    """
    if isinstance(value, tuple):
        for index, entry in enumerate(value):
            require_kept(f"{name}[{index}]", entry, sentence=sentence)
    elif is_cut_off(value):
        require_fit(sentence.format(name), value, np.uint32 if value.dtype.kind == "u" else np.int32)
