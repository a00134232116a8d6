import pytest

from fjdl.autodiff import graph
from fjdl.autodiff.tape import Variable
from fjdl.plots.pages.computation_graph import computation_graph, layout

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


def drawn():
    x, y, z = (Variable(value, name=name) for name, value in zip("xyz", (2.0, 3.0, 5.0), strict=True))
    return graph(x * y + z)


def test_every_node_shows_its_label_value_and_gradient() -> None:
    (axes,) = computation_graph(drawn(), title="x·y + z").axes
    texts = [text.get_text() for text in axes.texts]
    assert {"x", "y", "z", "×", "+", "2", "3", "5", "6", "11", "1"} <= set(texts)
    assert axes.get_title() == "x·y + z"


def test_columns_follow_the_depth_and_late_inputs_stand_beside_their_use() -> None:
    places = dict(zip([node.label for node in drawn().nodes], layout(drawn()), strict=True))
    assert [places[label][0] for label in ("x", "y", "×", "z", "+")] == [0, 0, 1, 1, 2]
    assert len(set(places.values())) == 5


def test_arrows_are_as_many_as_edges() -> None:
    (axes,) = computation_graph(drawn(), title="").axes
    assert sum(text.get_text() == "" for text in axes.texts) == len(drawn().edges) == 4
