"""What textbooks derive about derivatives, executable: each agrees with `jax.grad`, `jax.jvp` and `jax.hessian`.

`symbolic` rewrites formulas, `finite_difference` and `check` measure, `dual` goes forward, `tape` goes backward over
the nodes of `rules`, `backprop` and `two_layer` write out the backward pass of networks, `second_order` adds curvature.
May import floor 0 alone.

>>> from fjdl.autodiff import dual, symbolic, tape
>>> x = symbolic.Symbol("x")
>>> symbolic.evaluate(symbolic.diff(x * x * x, x), {"x": 2.0})
Array(12., dtype=float32, weak_type=True)
>>> dual.derivative(lambda x: x * x * x)(2.0)
Array(12., dtype=float32, weak_type=True)
>>> tape.grad(lambda x: x * x * x)(2.0)
(Array(12., dtype=float32),)
"""

from fjdl.autodiff import backprop, dual, rules, symbolic, tape, two_layer
from fjdl.autodiff.check import GradientCheck, check_grads, check_grads_along, relative_error
from fjdl.autodiff.finite_difference import central_difference, directional_difference, forward_difference
from fjdl.autodiff.graph import Graph, Node, graph, to_dot
from fjdl.autodiff.second_order import classify_critical_point, hessian, hvp, newton_step

__all__ = [
    "GradientCheck",
    "Graph",
    "Node",
    "backprop",
    "central_difference",
    "check_grads",
    "check_grads_along",
    "classify_critical_point",
    "directional_difference",
    "dual",
    "forward_difference",
    "graph",
    "hessian",
    "hvp",
    "newton_step",
    "relative_error",
    "rules",
    "symbolic",
    "tape",
    "to_dot",
    "two_layer",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
