"""Sign, orthogonalized and layer-wise methods."""

from tests.optim.rows.row import Row

ROWS: dict[str, Row] = {}
