from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.pages import derivatives

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    picture = tmp_path_factory.mktemp("page") / "walk.png"
    with jax.enable_x64(True):
        return derivatives.page(picture), picture


def numbers(page: str, row: str) -> list[str]:
    """The cells of the table row that starts with `row`."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {row} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_all_four_ways_and_the_figure_are_there(page: tuple[str, Path]) -> None:
    text, picture = page
    for title in ("Symbolic", "Numerical", "Forward mode", "Reverse mode", "Agreement"):
        assert f"\n## {title}\n" in text
    assert picture.stat().st_size > 10_000
    assert "](walk.png)" in text


def test_every_way_gives_the_derivative_worked_by_hand(page: tuple[str, Path]) -> None:
    text, _ = page
    sigmoid = 1 / (1 + np.exp(-0.7))
    exact = 2 * (sigmoid - 1) * sigmoid * (1 - sigmoid) * 2.0
    assert f"which is {exact:.12f} here" in text
    assert numbers(text, "C = (a − t)²")[1] == f"{exact:.10f}"
    assert numbers(text, "w")[1] == "1.0000000000"
    assert f"| w | 0.5000000000 | {exact:.10f} |" in text
    for way in ("dual numbers", "tape"):
        np.testing.assert_allclose(float(numbers(text, way)[0]), exact, rtol=1e-14)


def test_central_differences_gain_two_digits_per_digit_of_the_step(page: tuple[str, Path]) -> None:
    errors = [[float(cell) for cell in numbers(page[0], f"1e-{n}")] for n in (1, 3)]
    np.testing.assert_allclose(np.log10(errors[0]) - np.log10(errors[1]), [2, 4], atol=0.3)


def test_the_page_in_the_repository_is_this_one(page: tuple[str, Path]) -> None:
    from tests.support import ROOT

    stored = (ROOT / "docs" / "derivatives.md").read_text()
    strip = [line for line in page[0].replace("walk.png", "derivatives.png").splitlines() if "e-" not in line]
    assert [line for line in stored.splitlines() if "e-" not in line] == strip
