"""Every optimizer with its outside oracles: a new optimizer is one new row under all the laws of `test_laws.py`."""

from tests.optim.rows import adaptive, plain, recent, wrapped
from tests.optim.rows.row import Row

__all__ = ["ROWS", "Row"]

ROWS: dict[str, Row] = {**plain.ROWS, **adaptive.ROWS, **recent.ROWS, **wrapped.ROWS}
