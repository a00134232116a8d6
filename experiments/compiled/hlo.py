"""The text of a compiled program (optimized HLO) as data: computations, instructions, and shapes with their layouts."""

import functools
import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

BITS = {"pred": 8, "bf16": 16, "token": 0, "opaque": 0}  # of dtypes whose name does not end in their bits

_SHAPE = re.compile(r"([a-z]+\w*)\[([^\]]*)\](?:\{([\d,]*)(?::([^}]*))?\})?")
_TILES = re.compile(r"T((?:\([\d,]+\))+)")
_SPACE = re.compile(r"S\((\d+)\)")
_COMMENT = re.compile(r"/\*.*?\*/")
_HEAD = re.compile(r"(ENTRY )?%?([\w.\-]+) .*\{$")
_LINE = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_OPCODE = re.compile(r"([a-z][\w\-]*)\(")
_OPERAND = re.compile(r"%([\w.\-]+)")
_BARE_OPERAND = re.compile(r"(?:^|[\s,])([A-Za-z_][\w.\-]*)(?=,|$)")
_CALLED = re.compile(
    r"\b(?:calls|to_apply|body|branch_computations|true_computation|false_computation)=(\{[^}]*\}|%?[\w.\-]+)"
)


class Shape(NamedTuple):
    """An array as the program holds it."""

    dtype: str
    dims: tuple[int, ...]
    order: tuple[int, ...]  # axes, the one whose entries lie side by side first
    tiles: tuple[tuple[int, ...], ...]  # of the last axes in memory, the outer tile first
    space: int  # 0 for the device's large memory, others are on the chip

    @property
    def elements(self) -> int:
        """Numbers in the array."""
        return math.prod(self.dims)

    @property
    def bytes(self) -> int:
        """Bytes of the numbers."""
        return _bytes(self.elements, self.dtype)

    @property
    def padded(self) -> int:
        """Bytes in memory: axes are filled up to whole tiles."""
        lengths = [self.dims[axis] for axis in reversed(self.order)] or list(self.dims)
        for tile in self.tiles:
            lengths = _tiled(lengths, tile)
        return _bytes(math.prod(lengths), self.dtype)

    def __str__(self) -> str:
        """Such as bf16[64,56,56,256]."""
        return f"{self.dtype}[{','.join(map(str, self.dims))}]"


class Instruction(NamedTuple):
    """One line of a computation."""

    name: str
    shapes: tuple[Shape, ...]  # of the result; several for a tuple
    opcode: str
    operands: tuple[str, ...]  # names
    inside: str  # what stands between the parentheses, such as a constant's value
    attributes: str  # the rest of the line
    root: bool

    @property
    def op_name(self) -> str:
        """Where the operation stands in the source program, such as jit(step)/loss/log; empty where it is not said."""
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return found[1] if found else ""

    @property
    def cycles(self) -> int | None:
        """What the TPU compiler estimates for one execution; None where it names no price."""
        found = re.search(r'"estimated_cycles":"(\d+)"', self.attributes)
        return int(found[1]) if found else None

    @property
    def called(self) -> tuple[str, ...]:
        """The computations that it names, the condition of a loop left out."""
        groups = _CALLED.findall(self.attributes)
        return tuple(name for group in groups for name in re.findall(r"[\w.\-]+", group))

    @property
    def made(self) -> tuple[Shape, ...]:
        """What it makes: the start of an asynchronous operation also names what it reads, before that or behind."""
        if self.opcode == "copy-start":
            return self.shapes[:1]
        arrays = tuple(shape for shape in self.shapes if shape.dims)
        if self.opcode.endswith("-start") and self.opcode != "all-reduce-start" and len(arrays) > 1:
            return arrays[len(arrays) // 2 :]
        return arrays or self.shapes

    @property
    def bytes(self) -> int:
        """Bytes of what it makes, without padding."""
        return sum(shape.bytes for shape in self.made)

    def attribute(self, key: str) -> str | None:
        """The word behind `key=`; None where there is none."""
        found = re.search(rf'\b{key}=("[^"]*"|\{{[^}}]*\}}|%?[\w.\-]+)', self.attributes)
        return found[1].removeprefix("%").strip('"') if found else None


Body = Mapping[str, Instruction]


class Module(NamedTuple):
    """A compiled program: its computations by name, each with its instructions in the order they run in."""

    computations: Mapping[str, Body]
    entry: str

    def inner(self, instruction: Instruction) -> Iterator[Instruction]:
        """The instructions of what it calls, at any depth, such as those that a fusion is made of."""
        for name in instruction.called:
            for line in self.computations.get(name, {}).values():
                yield line
                yield from self.inner(line)


def parse(text: str) -> Module:
    """The module of `compiled.as_text()`; lines of no known form are left out. Raises `ValueError` without an ENTRY."""
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = None, None
    for line in text.splitlines():
        if line.startswith("}"):
            current = None
        elif current is None:
            if (head := _HEAD.match(line)) and not line.startswith("HloModule"):
                current = computations.setdefault(head[2], {})
                entry = head[2] if head[1] else entry
        elif found := _instruction(line):
            current[found.name] = found
    if entry is None:
        raise ValueError("the text of a compiled program must have an ENTRY, got none")
    return Module(computations, entry)


def shapes_of(text: str) -> tuple[Shape, ...]:
    """All array shapes in a text such as (f32[2]{0:T(128)}, u8[])."""
    return tuple(_shape(*groups) for groups in _SHAPE.findall(text))


@functools.lru_cache(maxsize=4096)
def _shape(dtype: str, dims: str, order: str, layout: str) -> Shape:
    sizes = tuple(int(re.sub(r"\D", "", size)) for size in dims.split(",") if size)
    axes = tuple(int(axis) for axis in order.split(",") if axis)
    tiles = _TILES.search(layout)
    parts = re.findall(r"\(([\d,]+)\)", tiles[1]) if tiles else []
    space = _SPACE.search(layout)
    return Shape(dtype, sizes, axes, tuple(tuple(map(int, p.split(","))) for p in parts), int(space[1]) if space else 0)


def _instruction(line: str) -> Instruction | None:
    found = _LINE.match(_COMMENT.sub("", line) if "/*" in line else line)
    if not found:
        return None
    rest = found[3]
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.find(" ")
    opcode = _OPCODE.match(rest, end + 1)
    if end < 1 or not opcode:
        return None
    close = _closing(rest, opcode.end() - 1)
    inside = rest[opcode.end() : close]
    operands = _OPERAND.findall(inside) or _BARE_OPERAND.findall(inside)
    return Instruction(
        found[2], shapes_of(rest[:end]), opcode[1], tuple(operands), inside, rest[close + 1 :], bool(found[1])
    )


def _closing(text: str, start: int) -> int:
    """The place of the parenthesis that closes the one at `start`."""
    depth = 0
    for found in re.compile(r"[()]").finditer(text, start):
        depth += 1 if found[0] == "(" else -1
        if depth == 0:
            return found.start()
    return len(text)


def _tiled(lengths: list[int], tile: tuple[int, ...]) -> list[int]:
    """The lengths of an array of whole tiles: how many tiles along each axis, then the tile."""
    kept, last = lengths[: -len(tile)], lengths[-len(tile) :]
    last = [1] * (len(tile) - len(last)) + last
    return [*kept, *(math.ceil(length / side) for length, side in zip(last, tile, strict=True)), *tile]


def _bytes(elements: int, dtype: str) -> int:
    digits = re.search(r"^[a-z]+(\d+)", dtype)
    bits = BITS[dtype] if dtype in BITS else int(digits[1]) if digits else 0
    return math.ceil(elements * bits / 8)
