"""One example differentiated in four ways: `python -m experiments.pages.derivatives --write docs/derivatives.md`."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded

WEIGHT, INPUT, BIAS, TARGET = 0.5, 2.0, -0.3, 1.0


@dataclasses.dataclass(frozen=True)
class Options:
    """The cost of one neuron and its derivative by its weight: symbolic, numerical, forward and reverse mode."""

    write: Path = Path("docs/derivatives.md")
    """The page; its figure is written beside it under the same name."""


def main() -> None:
    """Writes the page and its figure."""
    import jax

    from fjdl.files import write_atomically

    options = tyro.cli(Options, args=sys.argv[1:])
    with jax.enable_x64(True):
        write_atomically(options.write, page(options.write.with_suffix(".png")))
    print(f"wrote {options.write}")


def page(picture: Path) -> str:
    """The text, with numbers that the functions of `fjdl.autodiff` compute here and now."""
    draw(picture)
    parts = [OPENING, *symbolic(), *numerical(), *forward_mode(), *reverse_mode(picture.name), *agreement()]
    return "\n".join(parts) + "\n"


OPENING = f"""# One derivative, four ways

The cost of one neuron with weight w = {WEIGHT}, input x = {INPUT}, bias b = {BIAS} and target t = {TARGET},

    C = (σ(w·x + b) − t)²,

and its derivative with respect to w. Every number on this page was computed in float64 by
`python -m experiments.pages.derivatives --write docs/derivatives.md`, with the functions of `fjdl.autodiff`."""


def symbolic() -> Iterator[str]:
    """The derivative as a formula."""
    from fjdl.autodiff.symbolic import Constant, Symbol, diff, evaluate, sigmoid, size

    w, x, b, t = (Symbol(name) for name in "wxbt")
    cost = (sigmoid(w * x + b) - t) ** 2
    derivative = diff(cost, w)
    value = evaluate(derivative, {"w": WEIGHT, "x": INPUT, "b": BIAS, "t": TARGET})
    nested = w
    for _ in range(4):
        nested = sigmoid(nested * nested + Constant(1.0))
    yield (
        f"\n## Symbolic\n\nRules for sums, products, powers and functions rewrite the formula `{cost}` into\n\n"
        f"    dC/dw = {derivative}\n\nwhich is {float(value):.12f} here. The formula has {size(cost)} nodes and its "
        f"derivative {size(derivative)}. Nesting makes that\nworse: for w ← σ(w·w + 1), four times, they are "
        f"{size(nested)} and {size(diff(nested, w))}, because a formula repeats what a program\nkeeps in a variable. "
        "(`fjdl.autodiff.symbolic`)"
    )


def numerical() -> Iterator[str]:
    """Errors of difference quotients by step."""
    import jax.numpy as jnp

    from fjdl.autodiff import central_difference, forward_difference

    exact, at = float(automatic()), jnp.asarray([WEIGHT])
    yield (
        "\n## Numerical\n\n(C(w + h) − C(w)) / h has an error of order h, (C(w + h) − C(w − h)) / 2h one of order h², "
        "until rounding,\nof order 1e-16 / h, takes over. (`forward_difference`, `central_difference`)\n\n"
        "| step h | error, forward | error, central |\n|---:|---:|---:|"
    )
    for exponent in range(1, 12, 2):
        errors = [
            abs(float(difference(lambda w: cost(w[0]), at, step=10.0**-exponent)[0]) - exact)
            for difference in (forward_difference, central_difference)
        ]
        yield f"| 1e-{exponent} | {errors[0]:.0e} | {errors[1]:.0e} |"


def forward_mode() -> Iterator[str]:
    """The dual number of every intermediate."""
    from fjdl.autodiff import dual

    w = dual.Dual(WEIGHT, 1.0)
    z = w * INPUT + BIAS
    a = dual.sigmoid(z)
    error = a - TARGET
    yield (
        "\n## Forward mode\n\nDual numbers carry value + ε · derivative with ε² = 0. Starting from w + ε, one pass "
        "gives the derivative by\nw alone; the one by b would need another. (`fjdl.autodiff.dual`)\n\n"
        "| | value | ε |\n|---|---:|---:|"
    )
    steps = (("w", w), ("z = w·x + b", z), ("a = σ(z)", a), ("a − t", error), ("C = (a − t)²", error * error))
    for name, number in steps:
        yield f"| {name} | {float(number.real):.10f} | {float(number.dual):.10f} |"


def reverse_mode(picture: str) -> Iterator[str]:
    """Value and gradient of every node of the tape."""
    nodes = graph_of_cost().nodes
    yield (
        "\n## Reverse mode\n\nThe tape remembers each operation. Walking it backward once gives the derivative of C by "
        "everything: each node\nmultiplies what comes from above by its local derivative, and a value that was used "
        f"twice receives a sum.\n(`fjdl.autodiff.tape`)\n\n![Computation graph of the cost]({picture})\n\n"
        "| node | value | dC/d(node) |\n|---|---:|---:|"
    )
    for node in nodes:
        yield f"| {node.label} | {float(node.value):.10f} | {float(node.gradient):.10f} |"


def agreement() -> Iterator[str]:
    """How far each result is from `jax.grad`."""
    import jax.numpy as jnp

    from fjdl.autodiff import central_difference, dual

    exact = float(automatic())
    found = {
        "central difference, h = ∛ε": float(central_difference(lambda w: cost(w[0]), jnp.asarray([WEIGHT]))[0]),
        "dual numbers": float(dual.derivative(dual_cost)(WEIGHT)),
        "tape": float(next(node.gradient for node in graph_of_cost().nodes if node.label == "w")),
    }
    yield f"\n## Agreement\n\n`jax.grad` gives {exact:.15f}.\n\n| | dC/dw | difference |\n|---|---:|---:|"
    for name, value in found.items():
        yield f"| {name} | {value:.15f} | {abs(value - exact):.0e} |"


def cost(w: Any) -> Any:
    """The cost as a function of the weight, for arrays."""
    import jax

    return (jax.nn.sigmoid(w * INPUT + BIAS) - TARGET) ** 2


def dual_cost(w: Any) -> Any:
    """The cost as a function of a dual number."""
    from fjdl.autodiff import dual

    error = dual.sigmoid(w * INPUT + BIAS) - TARGET
    return error * error


def automatic() -> Any:
    """What JAX says."""
    import jax

    return jax.grad(cost)(WEIGHT)


def graph_of_cost() -> Any:
    """The computation graph of the cost, recorded on the tape."""
    from fjdl.autodiff import graph, rules
    from fjdl.autodiff.tape import Variable, record

    w, x, b, t = (Variable(value, name=name) for name, value in zip("wxbt", (WEIGHT, INPUT, BIAS, TARGET), strict=True))
    return graph(record(rules.square, record(rules.sigmoid, w * x + b) - t))


def draw(picture: Path) -> None:
    """Writes the figure of the graph."""
    from fjdl.plots.files import save
    from fjdl.plots.pages.computation_graph import computation_graph

    save(computation_graph(graph_of_cost(), title="C = (σ(w·x + b) − t)²"), picture)


if __name__ == "__main__":
    run_guarded(main)
