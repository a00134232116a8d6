"""Every optimizer with its outside oracles: a new optimizer is one new row under all the laws of `test_laws.py`."""

from typing import Any

import pytest

from tests.optim.rows import adaptive, plain, recent, wrapped
from tests.optim.rows.parts import PARTS, Part
from tests.optim.rows.row import Row

__all__ = ["EVERYTHING", "PARTS", "ROWS", "Part", "Row", "by_part"]

ROWS: dict[str, Row] = {**plain.ROWS, **adaptive.ROWS, **recent.ROWS, **wrapped.ROWS}

# The optimizers and what they are made of, under the laws that ask for no oracle.
EVERYTHING: dict[str, Part] = {
    **{
        f"row-{name}": Part(row.factory, (0.01,), row.options, real_only=row.real_only, mixes=row.mixes)
        for name, row in ROWS.items()
    },
    **PARTS,
}


def by_part(chosen: dict[str, Part] = EVERYTHING, *, mixing: bool = False) -> pytest.MarkDecorator:
    """Every whole optimizer by day, with `mixing` parts in which leaves meet too, and at night all parts."""

    def row(name: str, part: Part) -> Any:
        return pytest.param(part, id=name, marks=[pytest.mark.slow] * (name in PARTS and not (mixing and part.mixes)))

    return pytest.mark.parametrize("part", [row(name, part) for name, part in chosen.items()])
