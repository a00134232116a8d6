import io
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from fjdl.plots import text_mistakes

TEXTS = ["a dull $5 film , _worse_ than $6", "right", "", "no\nend " * 200]


def draw(predicted: list[int], **options: Any) -> Figure:
    return text_mistakes(
        TEXTS,
        np.zeros(4, np.int32),
        np.array(predicted, np.int32),
        np.array([0.6, 0.99, 0.95, 0.7], np.float32),
        classes=["negative", "positive"],
        title="test part",
        **options,
    )


def listed(figure: Figure) -> list[Any]:
    """Captions and texts, without the title and the line below."""
    return [text for text in figure.texts if text.get_position()[0] in (0.02, 0.26)]


def test_the_wrong_texts_stand_beside_their_captions_the_most_confident_first() -> None:
    figure = draw([1, 0, 1, 1])
    figure.savefig(io.BytesIO())
    shown = [text.get_text() for text in listed(figure)]
    assert shown[::2] == [f"negative → positive ({p})" for p in ("0.95", "0.70", "0.60")]
    assert shown[1] == "(no words)"
    assert shown[3].count("\n") == 2
    assert shown[3].endswith(" …")
    assert shown[5] == TEXTS[0]
    assert figure.get_supxlabel() == "3 of 4 wrong"
    heights = [text.get_position()[1] for text in listed(figure)[::2]]
    assert heights == sorted(heights, reverse=True)
    assert 0 < heights[-1] < heights[0] < 1


def test_at_most_so_many_are_shown_and_none_where_none_is_wrong() -> None:
    figure = draw([1, 0, 1, 1], most=1)
    assert len(listed(figure)) == 2
    assert figure.get_supxlabel() == "3 of 4 wrong, 1 shown"
    assert not listed(draw([0, 0, 0, 0]))
    with pytest.raises(ValueError, match="most must be at least 1, got 0"):
        draw([1, 0, 1, 1], most=0)
