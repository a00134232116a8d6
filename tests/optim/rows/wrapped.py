"""Methods around another method."""

from tests.optim.rows.row import Row

ROWS: dict[str, Row] = {}
