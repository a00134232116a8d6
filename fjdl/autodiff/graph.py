"""A computation graph as data: nodes with value and gradient, edges, and Graphviz text."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fjdl.autodiff.tape import Variable, gradients, history
from fjdl.typing import Array


class Node(NamedTuple):
    """One variable of the history."""

    label: str  # the name of a leaf, the symbol of an operation
    value: Array
    gradient: Array  # of the output with respect to this variable
    depth: int  # operations on the longest way from a leaf


class Graph(NamedTuple):
    """Nodes in the order of their computation, and pairs (from, to) of their numbers."""

    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...]


def graph(output: Variable) -> Graph:
    """What the output was computed from: forward values, and gradients of the output by the backward pass."""
    variables, found = history(output), gradients(output)
    number = {variable: i for i, variable in enumerate(variables)}
    depth: dict[Variable, int] = {}
    for variable in variables:
        depth[variable] = 1 + max((depth[parent] for parent in variable.parents), default=-1)
    nodes = tuple(Node(_label(v), v.value, found[v], depth[v]) for v in variables)
    return Graph(nodes, tuple((number[p], number[v]) for v in variables for p in v.parents))


def to_dot(drawn: Graph) -> str:
    """The graph in Graphviz's DOT language, values above and gradients below, data flow from left to right."""
    lines = ["digraph {", "  rankdir=LR;"]
    lines += [
        f'  n{i} [label="{node.label}\\nvalue {short(node.value)}\\ngradient {short(node.gradient)}"];'
        for i, node in enumerate(drawn.nodes)
    ]
    return "\n".join([*lines, *(f"  n{a} -> n{b};" for a, b in drawn.edges), "}"])


def short(value: Array) -> str:
    """A scalar with four significant digits, an array as its shape."""
    return f"{float(value):.4g}" if jnp.ndim(value) == 0 else f"{np.shape(value)}"


def _label(variable: Variable) -> str:
    if variable.operation is not None:
        return variable.operation.name
    return variable.name or short(variable.value)
