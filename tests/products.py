"""The matrix products and convolutions in the text of a program."""

import re
from typing import NamedTuple

_OPERATION = re.compile(r"stablehlo\.(?:dot_general|convolution)\b")
_TYPE = r"tensor<(?:[\d?]+x)*([^<>]+(?:<[^>]+>)?)>"
_FACTORS = re.compile(rf": \({_TYPE}, {_TYPE}\) ->")


class Product(NamedTuple):
    """What a program says of one of them."""

    factors: tuple[str, str]  # their dtypes, such as ("f32", "bf16")
    precision: str  # DEFAULT, HIGH or HIGHEST


def products_of(text: str) -> list[Product]:
    """Those of a lowered program; raises `ValueError` for a line that it cannot read."""
    return [_read(line) for line in text.splitlines() if _OPERATION.search(line)]


def _read(line: str) -> Product:
    types = _FACTORS.search(line)
    precisions = set(re.findall(r"\b(?:DEFAULT|HIGHEST|HIGH)\b", line))
    if types is None or len(precisions) > 1:
        raise ValueError(f"a product must name the types of two factors and one precision, got {line.strip()}")
    return Product((types[1], types[2]), precisions.pop() if precisions else "DEFAULT")
