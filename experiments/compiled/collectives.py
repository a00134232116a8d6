"""What devices send one another in a compiled program, and whether they compute meanwhile; and what has no price."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from experiments.compiled.hlo import Instruction, Module
from experiments.compiled.kinds import collective, kind_of
from experiments.compiled.schedule import Executed

SPECIAL = ("select-and-scatter", "sort", "gather", "scatter", "reduce-window", "dynamic-update-slice")


class Collective(NamedTuple):
    """The collectives of one kind, dtype, and way of running."""

    kind: str  # such as all-reduce
    dtypes: str  # such as bf16, or bf16+f32 of one that carries several arrays
    asynchronous: bool  # started in one place and awaited in another
    overlapped: int  # of them, those with priced work between start and end
    number: int
    bytes: int  # of results on one device


class Unpriced(NamedTuple):
    """Instructions for which the compiler names no cycles."""

    opcode: str  # with the target of a custom call, or with what a fusion is for
    kind: str
    number: int
    bytes: int  # of results


def collectives(module: Module, lines: Sequence[Executed]) -> list[Collective]:
    """The collectives among these instructions, the largest in bytes first."""
    groups: dict[tuple[str, str, bool], tuple[int, int, int]] = {}
    for place, (line, times, _, _) in enumerate(lines):
        kind = collective(line) or _wrapped(module, line)
        if kind is None or line.opcode.endswith("-done"):
            continue
        started = line.opcode.endswith("-start")
        key = kind, "+".join(sorted({shape.dtype for shape in line.made})), started
        overlapped, number, size = groups.get(key, (0, 0, 0))
        more = times * (started and _work_between(lines, place))
        groups[key] = overlapped + more, number + times, size + times * line.bytes
    found = [Collective(*key, *row) for key, row in groups.items()]
    return sorted(found, key=lambda row: -row.bytes)


def unpriced(module: Module, lines: Iterable[Executed]) -> list[Unpriced]:
    """What has no price and may take time, the largest in bytes first.

    The second half of a pair is left out, and so is the arithmetic of single numbers.
    """
    groups: defaultdict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for found in lines:
        line = found.instruction
        if line.cycles is not None or line.opcode.endswith(("-done", "-update")):
            continue
        if collective(line) or any(shape.elements > 1 for shape in line.shapes):
            key = (_label(module, line), kind_of(module, found))
            number, size = groups[key]
            groups[key] = (number + found.times, size + found.times * line.bytes)
    rows = [Unpriced(*key, *row) for key, row in groups.items()]
    return sorted(rows, key=lambda row: -row.bytes)


def _wrapped(module: Module, line: Instruction) -> str | None:
    """The kind of a collective inside a fusion or an asynchronous call."""
    if line.opcode not in ("fusion", "async-start", "async-done", "custom-call"):
        return None
    return next((kind for inner in module.inner(line) if (kind := collective(inner))), None)


def _work_between(lines: Sequence[Executed], start: int) -> bool:
    """Whether something with a price runs between a start and its end."""
    begun = lines[start]
    for line, _, where, _ in lines[start + 1 :]:
        if begun.instruction.name in line.operands and line.opcode.endswith("-done"):
            return False
        if where == begun.computation and line.cycles:
            return True
    return False


def _label(module: Module, line: Instruction) -> str:
    if line.opcode == "custom-call":
        return f"custom-call {line.attribute('custom_call_target') or ''}".strip()
    if line.opcode == "fusion":
        inner = {x.opcode for x in module.inner(line)}
        return next((f"fusion with {opcode}" for opcode in SPECIAL if opcode in inner), "fusion")
    return line.opcode
