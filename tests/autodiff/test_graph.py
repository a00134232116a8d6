import jax.numpy as jnp

from fjdl.autodiff import graph, rules, to_dot
from fjdl.autodiff.tape import Variable, record


def example() -> Variable:
    x, y = Variable(2.0, name="x"), Variable(-3.0, name="y")
    return record(rules.square, x * y + x)


def test_nodes_carry_value_gradient_and_depth() -> None:
    nodes = graph(example()).nodes
    assert [node.label for node in nodes] == ["x", "y", "×", "+", "( )²"]
    assert [float(node.value) for node in nodes] == [2.0, -3.0, -6.0, -4.0, 16.0]
    assert [float(node.gradient) for node in nodes] == [16.0, -16.0, -8.0, -8.0, 1.0]
    assert [node.depth for node in nodes] == [0, 0, 1, 2, 3]


def test_edges_follow_the_data() -> None:
    assert set(graph(example()).edges) == {(0, 2), (1, 2), (2, 3), (0, 3), (3, 4)}


def test_a_variable_that_branches_is_one_node_with_two_edges() -> None:
    drawn = graph((lambda x: x * x)(Variable(3.0, name="x")))
    assert len(drawn.nodes) == 2
    assert drawn.edges == ((0, 1), (0, 1))


def test_dot_text_names_every_node_and_edge() -> None:
    text = to_dot(graph(Variable(2.0, name="x") * 3.0))
    assert text.startswith("digraph {")
    assert r'n0 [label="x\nvalue 2\ngradient 3"];' in text
    assert r'n1 [label="3\nvalue 3\ngradient 2"];' in text
    assert "n0 -> n2;" in text


def test_arrays_are_shown_by_their_shape() -> None:
    assert r"value (2, 3)\ngradient (2, 3)" in to_dot(graph(record(rules.total, Variable(jnp.ones((2, 3))))))
