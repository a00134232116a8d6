"""Every optimizer with its outside oracles: a new optimizer is one new row under all the laws of `test_laws.py`."""

from tests.optim.rows import adaptive, plain, recent, wrapped
from tests.optim.rows.parts import PARTS, Part
from tests.optim.rows.row import Row

__all__ = ["EVERYTHING", "PARTS", "ROWS", "Part", "Row"]

ROWS: dict[str, Row] = {**plain.ROWS, **adaptive.ROWS, **recent.ROWS, **wrapped.ROWS}

# The optimizers and what they are made of, under the laws that ask for no oracle.
EVERYTHING: dict[str, Part] = {
    **{
        f"row-{name}": Part(row.factory, (0.01,), row.options, real_only=row.real_only, mixes=row.mixes)
        for name, row in ROWS.items()
    },
    **PARTS,
}
