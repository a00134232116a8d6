"""What a compiled program holds in a device's memory, and how much of it only fills up tiles."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from experiments.compiled.hlo import Instruction, Module, Shape
from experiments.compiled.schedule import NOTHING


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


def _large(line: Instruction) -> Iterator[Shape]:
    """The results that lie in the device's large memory; of a copy that starts, only what it makes."""
    shapes = line.shapes[:1] if line.opcode == "copy-start" else line.shapes
    if not line.opcode.endswith("-done"):
        yield from (shape for shape in shapes if shape.space == 0)
