"""Methods that scale each entry by the history of its gradients."""

from tests.optim.rows.row import Row

ROWS: dict[str, Row] = {}
