import numpy as np
import pytest

from experiments.pages import classical

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


def test_the_table_has_every_strategy_and_agrees_with_scikit_learn(monkeypatch) -> None:
    monkeypatch.setattr("fjdl.data.embedded.breast_cancer", iris_again)
    monkeypatch.setattr("fjdl.data.embedded.wine", iris_again)
    table = [[cell.strip() for cell in row.split("|")[1:-1]] for row in classical.rows(1)]
    assert [row[1] for row in table[:3]] == ["softmax", "one against the rest", "one against one, majority vote"]
    for row in table:
        assert row[2] == row[3]
        assert row[4] == "0 of 30"
        assert float(row[2].split(" ")[0]) > 85


def iris_again(**options):
    """iris again, so that the test fits one size of table."""
    from fjdl.data.embedded import iris

    return iris(**options)


def test_spread_is_the_sample_standard_deviation() -> None:
    values = [90.0, 92.0, 97.0]
    assert classical.spread(values) == f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} %"
