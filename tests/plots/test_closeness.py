import io

import numpy as np
import pytest

from fjdl.functional.similarity import cosine_similarities
from fjdl.plots import closeness_map
from tests.worked_numbers.test_similarity import VECTORS, WORDS


def test_w50_each_cell_of_the_map_shows_the_cosine_of_its_words() -> None:
    cosines = np.asarray(cosine_similarities(VECTORS, VECTORS[:4]))
    figure = closeness_map(cosines, rows=WORDS, columns=WORDS[:4], title="words")
    axes = figure.axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written[2, 0] == "1.00"  # dog and horse, 0.9954
    assert written[0, 8] == "0.04"  # car and dog, 0.0356
    assert len(written) == 40
    assert [label.get_text() for label in axes.get_yticklabels()] == WORDS
    assert [label.get_text() for label in axes.get_xticklabels()] == WORDS[:4]
    np.testing.assert_allclose(axes.images[0].get_array(), cosines)
    assert axes.images[0].get_clim() == (-1, 1)
    figure.savefig(io.BytesIO())


def test_large_maps_have_colours_alone_and_what_is_not_finite_is_black() -> None:
    cosines = np.eye(21, dtype=np.float32)
    cosines[0, 1] = np.nan
    names = [str(n) for n in range(21)]
    axes = closeness_map(cosines, rows=names, columns=names, title="").axes[0]
    assert not axes.texts
    image = axes.images[0]
    assert image.to_rgba(image.get_array())[0, 1].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(("rows", "columns"), [(["a"], ["a", "b"]), (["a", "b"], ["a"]), ([], ["a", "b"])])
def test_every_row_and_column_has_a_name(rows: list[str], columns: list[str]) -> None:
    with pytest.raises(ValueError, match="must name each of the 2"):
        closeness_map(np.eye(2, dtype=np.float32), rows=rows, columns=columns, title="")
