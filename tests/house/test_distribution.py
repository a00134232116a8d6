"""`tests/running/distribution.py`: what one worker runs together."""

import pytest

from tests.running.distribution import together

PLACES = {
    "tests/nn/test_norm.py::test_moments[wide-a.b]": "tests/nn/test_norm.py",
    "tests/laws/test_laws.py::test_names_are_unique": "tests/laws/test_laws.py",
    "tests/laws/test_laws.py::test_equals_the_oracle[float64-losses.regression.huber_loss]": "losses.regression.",
    "tests/laws/test_laws.py::test_strict_dtype_promotion[losses.regression.mse_loss]": "losses.regression.",
    "tests/laws/test_sharded.py::test_values[True-losses.regression.huber_loss-small]": "losses.regression.",
}


@pytest.mark.parametrize(("nodeid", "place"), PLACES.items())
def test_files_stay_together_and_in_laws_the_rows_of_a_module(nodeid: str, place: str) -> None:
    assert together(nodeid) == place
