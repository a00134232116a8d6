"""What a compiled program holds in a device's memory, and how much of it only fills up tiles."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from experiments.compiled.hlo import Instruction, Module, Shape
from experiments.compiled.kinds import kind_of
from experiments.compiled.schedule import NOTHING, Executed


class Memory(NamedTuple):
    """Bytes on one device."""

    arguments: int
    outputs: int
    aliased: int  # outputs that take the place of arguments
    temporaries: int
    code: int
    peak: int  # the most that is alive at once, as the compiler reports it

    @property
    def held(self) -> int:
        """What is taken while the program runs."""
        return self.arguments + self.outputs - self.aliased + self.temporaries + self.code


class Wide(NamedTuple):
    """Large float32 arrays that a step of bfloat16 writes to the device's large memory."""

    kind: str
    number: int
    bytes: int


class Held(NamedTuple):
    """A part of the data set on one device, or a copy of it that the program makes."""

    shape: str  # as laid out, such as u8[45000,32,32,3]
    copy: bool
    bytes: int  # of its numbers
    padded: int  # of what is held


def memory_of(compiled: Any) -> Memory:
    """The sizes that `compiled.memory_analysis()` reports."""
    found = compiled.memory_analysis()
    return Memory(
        arguments=found.argument_size_in_bytes,
        outputs=found.output_size_in_bytes,
        aliased=found.alias_size_in_bytes,
        temporaries=found.temp_size_in_bytes,
        code=found.generated_code_size_in_bytes,
        peak=getattr(found, "peak_memory_in_bytes", 0),
    )


def held_data(module: Module, arrays: Iterable[tuple[str, int]]) -> list[Held]:
    """The resident arrays, given as dtype and number of elements on a device, and all copies of them in other layouts.

    Arrays of fewer than 65,536 elements are left out, since others have their size too.
    """
    wanted = {array for array in arrays if array[1] >= 2**16}
    found = [
        Held(str(shape), line.opcode != "parameter", shape.bytes, shape.padded)
        for line in module.computations[module.entry].values()
        if line.opcode == "parameter" or line.opcode not in {*NOTHING, "while"}
        for shape in _large(line)
        if (shape.dtype, shape.elements) in wanted
    ]
    return sorted(set(found), key=lambda held: (held.copy, -held.padded))


def wide_arrays(module: Module, lines: Iterable[Executed], *, above: int = 2**20) -> list[Wide]:
    """Float32 arrays of at least so many bytes, by the kind of what makes them; the optimizer's are left out."""
    groups: dict[str, tuple[int, int]] = {}
    for found in lines:
        for shape in _large(found.instruction):
            kind = kind_of(module, found)
            if shape.dtype == "f32" and shape.bytes >= above and kind != "optimizer":
                number, size = groups.get(kind, (0, 0))
                groups[kind] = number + found.times, size + found.times * shape.padded
    rows = [Wide(kind, *row) for kind, row in groups.items()]
    return sorted(rows, key=lambda row: (-row.bytes, row.kind))


def _large(line: Instruction) -> Iterator[Shape]:
    """What it makes in the device's large memory; the end of an asynchronous pair makes nothing more."""
    if not line.opcode.endswith("-done"):
        yield from (shape for shape in line.made if shape.space == 0)
