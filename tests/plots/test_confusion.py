import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from fjdl.plots import confusion_matrix_figure


def draw(matrix: object, **options: object) -> Figure:
    matrix = np.asarray(matrix)
    names = [f"class {k}" for k in range(len(matrix))]
    return confusion_matrix_figure(matrix, **({"classes": names, "title": ""} | options))


def counts(figure: Figure) -> np.ndarray:
    """The numbers written into the cells, by their row and column."""
    texts = figure.axes[0].texts
    side = round(len(texts) ** 0.5)
    written = np.full((side, side), -1)
    for text in texts:
        column, row = text.get_position()
        written[int(row), int(column)] = int(text.get_text())
    return written


def brightness(figure: Figure) -> tuple[np.ndarray, np.ndarray]:
    """Luminance of the text and of the cell behind it (ITU-R BT.709), cell by cell."""
    from matplotlib.colors import to_rgb

    image, weights = figure.axes[0].images[0], np.array([0.2126, 0.7152, 0.0722])
    cells = image.to_rgba(image.get_array())[..., :3] @ weights
    return np.array([to_rgb(text.get_color()) @ weights for text in figure.axes[0].texts]), cells.ravel()


@pytest.mark.parametrize("classes", [1, 2, 3, 10, 20])
def test_each_cell_shows_its_count(classes: int, rng: np.random.Generator) -> None:
    matrix = rng.integers(0, 2000, (classes, classes))
    np.testing.assert_array_equal(counts(draw(matrix)), matrix)


def test_rows_are_true_classes_and_columns_predictions() -> None:
    axes = draw([[5, 1], [0, 7]], classes=["cat", "dog"]).axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first class stands on top


def test_the_colour_is_the_fraction_of_the_row() -> None:
    image = draw([[3, 1], [0, 50]]).axes[0].images[0]
    np.testing.assert_allclose(np.asarray(image.get_array()), [[0.75, 0.25], [0, 1]])
    assert image.get_clim() == (0, 1)


def test_a_class_without_examples_has_fraction_zero() -> None:
    image = draw([[0, 0], [1, 3]]).axes[0].images[0]
    np.testing.assert_allclose(np.asarray(image.get_array()), [[0, 0], [0.25, 0.75]])


def test_the_count_stands_out_from_every_shade() -> None:
    text, cell = brightness(draw([[k, 100 - k] for k in range(0, 101, 5)] @ np.eye(2, 21, dtype=int)))
    assert np.min(np.abs(text - cell)) > 0.3


@pytest.mark.parametrize(("classes", "largest"), [(1, 9), (2, 12345678), (20, 1234), (20, 12345678)])
def test_the_longest_count_fits_into_its_cell(classes: int, largest: int) -> None:
    figure = draw(np.full((classes, classes), largest))
    figure.savefig(io.BytesIO())
    axes = figure.axes[0]
    cell = axes.get_window_extent().width / classes
    assert max(text.get_window_extent().width for text in axes.texts) <= cell


def test_float32_counts_of_a_metric_are_shown_as_whole_numbers() -> None:
    assert [text.get_text() for text in draw(np.array([[16777216]], np.float32)).axes[0].texts] == ["16777216"]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0, 0.5])
def test_what_is_no_count_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="matrix must hold whole counts that are not negative"):
        draw([[1.0, wrong], [0.0, 2.0]])


@pytest.mark.parametrize("classes", [[], ["a"], ["a", "b", "c"]])
def test_each_class_needs_a_name(classes: list[str]) -> None:
    with pytest.raises(ValueError, match=f"classes must name each of the 2 rows, got {len(classes)} names"):
        draw(np.eye(2), classes=classes)


def test_a_matrix_that_is_not_square_is_refused() -> None:
    with pytest.raises(ValueError, match="argument `matrix` must be"):
        draw(np.ones((2, 3)))
