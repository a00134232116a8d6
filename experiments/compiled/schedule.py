"""What a compiled program executes, in order and how often; and the part of it that is one training step."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from experiments.compiled.hlo import Body, Instruction, Module

ENTERED = ("call", "conditional", "async-start")  # beside loops: what runs other computations as they stand
NOTHING = {
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "after-all",
    "partition-id",
    "replica-id",
    "optimization-barrier",
    "domain",
    "iota",
}  # that take no time of their own


class Executed(NamedTuple):
    """An instruction that runs `times` times."""

    instruction: Instruction
    times: int
    computation: str
    within: str = ""  # the operation that made the loop around it, inside of what was asked for


class Loop(NamedTuple):
    """A `while` that runs, its rounds for each time that it is reached, and where it stands."""

    instruction: Instruction
    trips: int | None  # None where its condition does not tell
    times: int
    computation: str


class Step(NamedTuple):
    """One training step inside a program: a computation, and whether it is the body of the loop over steps."""

    computation: str
    trips: int  # steps that one call of the program runs
    looped: bool


def executed(module: Module, computation: str, times: int = 1, within: str = "") -> Iterator[Executed]:
    """Everything that running a computation executes, loops multiplied by their rounds (1 where they are unknown).

    Of a branch all sides are listed. A `while` itself is listed by `loops`.
    """
    for line in module.computations[computation].values():
        if line.opcode == "while":
            rounds = trips(module, computation, line) or 1
            yield from executed(module, body_of(line), times * rounds, line.op_name or within)
        elif line.opcode in ENTERED and any(name in module.computations for name in line.called):
            for name in line.called:
                yield from executed(module, name, times, within)
        elif line.opcode not in NOTHING:
            yield Executed(line, times, computation, within)


def loops(module: Module, computation: str, times: int = 1) -> Iterator[Loop]:
    """The loops that running a computation executes, the inner ones too."""
    for line in module.computations[computation].values():
        if line.opcode == "while":
            rounds = trips(module, computation, line)
            yield Loop(line, rounds, times, computation)
            yield from loops(module, body_of(line), times * (rounds or 1))
        elif line.opcode in ENTERED:
            for name in line.called:
                yield from loops(module, name, times)


def cycles(module: Module, computation: str) -> int:
    """The estimated cycles of running a computation once; what has no price counts nothing."""
    return sum(found.times * (found.instruction.cycles or 0) for found in executed(module, computation))


def step_of(module: Module, steps: int) -> Step:
    """The step of a program that runs `steps` of them: the body of its costliest loop of so many rounds.

    A program of one step, and one whose compiler unrolled the loop away, is a step itself.
    """
    found = [loop for loop in loops(module, module.entry) if loop.trips == steps and loop.times == 1]
    if steps == 1 or not found:
        return Step(module.entry, 1, looped=False)
    costliest = max(found, key=lambda loop: cycles(module, body_of(loop.instruction)))
    return Step(body_of(costliest.instruction), steps, looped=True)


def body_of(loop: Instruction) -> str:
    """The computation that a `while` repeats."""
    name = loop.attribute("body")
    if name is None:
        raise ValueError(f"the while {loop.name} must name its body, got {loop.attributes[:80]!r}")
    return name


def trips(module: Module, computation: str, loop: Instruction) -> int | None:
    """The rounds of a `while` that stands in `computation`: those the compiler wrote down, or the bound of its counter.

    The counter counts up by one, as in the loops that JAX makes; None for a condition of another form.
    """
    if known := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.attributes):
        return int(known[1])
    condition = module.computations.get(loop.attribute("condition") or "", {})
    root = next((line for line in condition.values() if line.root), None)
    comparison = _comparison(module, condition, root) if root else None
    if comparison is None:
        return None
    counter, bound, direction = comparison
    if bound is None or direction not in ("LT", "LE"):
        return None
    start = _start(module.computations[computation], loop, counter)
    return max(bound + (direction == "LE") - start, 0)


def _comparison(module: Module, body: Body, root: Instruction) -> tuple[int | None, int | None, str] | None:
    """Of a loop's condition: the place of the counter in the loop's tuple, the bound, and the direction."""
    inner, arguments = body, {}
    if root.opcode == "fusion":
        inner = module.computations.get(root.called[0], {})
        arguments = {number: body.get(name) for number, name in enumerate(root.operands)}
        root = next((line for line in inner.values() if line.root), root)
    if root.opcode != "compare" or len(root.operands) != 2:
        return None
    left, right = (_resolved(inner, arguments, name) for name in root.operands)
    return _index(left), _number(right), root.attribute("direction") or ""


def _resolved(body: Body, arguments: Mapping[int, Instruction | None], name: str) -> Instruction | None:
    """The instruction that a name stands for, outside of the fusion where it is one of its parameters."""
    line = body.get(name)
    while line is not None and line.opcode in ("copy", "bitcast"):
        line = body.get(line.operands[0])
    if line is not None and line.opcode == "parameter" and line.inside.isdigit():
        return arguments.get(int(line.inside), line)
    return line


def _index(line: Instruction | None) -> int | None:
    found = line.attribute("index") if line is not None and line.opcode == "get-tuple-element" else None
    return int(found) if found else None


def _number(line: Instruction | None) -> int | None:
    whole = line is not None and line.opcode == "constant" and re.fullmatch(r"-?\d+", line.inside.strip())
    return int(line.inside) if line is not None and whole else None


def _start(body: Body, loop: Instruction, counter: int | None) -> int:
    """The first value of a loop's counter; 0 where it is not a constant."""
    carried = body.get(loop.operands[0]) if loop.operands else None
    if carried is None or counter is None or carried.opcode != "tuple" or counter >= len(carried.operands):
        return 0
    line = body.get(carried.operands[counter])
    while line is not None and line.opcode in ("copy", "bitcast") and line.operands:
        line = body.get(line.operands[0])
    return _number(line) or 0
