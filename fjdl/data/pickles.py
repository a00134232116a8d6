"""Pickles of protocol 2 read as data: a machine of containers, numbers and strings that can import and call nothing."""

import itertools
import pickletools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

from fjdl.errors import DataFormatError

MOST_OPCODES = 2**21

_CODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_MARK = object()
_MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_ITSELF = (
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "BINBYTES", "SHORT_BINBYTES",
)  # fmt: skip
_BYTES, _PUT, _GET = ("BINSTRING", "SHORT_BINSTRING"), ("BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


@runtime_checkable
class Buildable(Protocol):
    """What a stand-in must be so that a pickle may set its state."""

    def build(self, state: Any) -> None:
        """Takes the state over or raises `DataError`."""


def read_pickle(
    stream: BinaryIO,
    *,
    path: Path | str,
    known: Mapping[str, Any],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The value of the pickle that begins at the position of `stream`, which ends up behind it.

    `known` gives the value of each global `"module name"` that may occur; where it is a function, the pickle may call
    it, so it must check its arguments. `persistent` turns a persistent id into a value. `stream` holds its bytes in
    memory, as `io.BytesIO` does. Byte strings of Python 2 become `bytes`, keys must be strings, bytes or integers below
    2⁶⁰, the state of a dictionary beside its items is dropped. Time and memory stay within a multiple of the bytes that
    are there. Raises `DataError` for a global that is not known, naming it, for another protocol than 2 or 3, for more
    than 2,097,152 opcodes, and for whatever is not well formed; `path` only names the file there.
    """
    machine = _Machine(path, known, persistent)
    try:
        for number, (name, argument) in enumerate(_opcodes(stream, path)):
            if number >= MOST_OPCODES:
                raise DataFormatError(path, None, "a pickle", f"have at most {MOST_OPCODES} opcodes", "more")
            machine.execute(name, argument)
        return machine.result()
    except _MALFORMED as error:
        raise DataFormatError(path, None, "the pickle", "be well formed", f"{short(error)}") from error


def short(value: object) -> str:
    """The text of a value from a file, on one line and of at most 100 characters."""
    text = value if isinstance(value, str) else str(value) or type(value).__name__
    return " ".join(ascii(text[:100])[1:-1].split())


def _opcodes(stream: BinaryIO, path: Path | str) -> Iterator[tuple[str, Any]]:
    """Names and arguments up to the end of the pickle; only opcodes that the machine has are read further."""
    name = ""
    while name != "STOP":
        code = stream.read(1)
        if not code:
            raise ValueError("the end of the file before the end of the pickle")
        opcode = _CODES.get(code)
        name = opcode.name if opcode else f"0x{code.hex()}"
        if opcode is None or name not in _ALLOWED:
            raise DataFormatError.told(f"{path}: a pickle of plain data must not need the opcode {name}")
        if name == "GLOBAL":
            yield name, b" ".join(stream.readline().rstrip(b"\n") for _ in range(2)).decode("latin-1")
        else:
            yield name, opcode.arg.reader(stream) if opcode.arg else None


class _Machine:
    """The stack and the memo of a pickle; one method for each group of opcodes."""

    def __init__(self, path: Path | str, known: Mapping[str, Any], persistent: Callable[[Any], Any] | None) -> None:
        self.path, self.known, self.persistent = path, known, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def execute(self, name: str, argument: Any) -> None:
        if name in _ITSELF:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _BYTES:
            self.stack.append(argument.encode("latin-1"))
        elif name in _PUT:
            self.memo[argument] = self.stack[-1]
        elif name in _GET:
            self.stack.append(self.memo[argument])
        else:
            _OPERATIONS[name](self, argument)

    def result(self) -> Any:
        (value,) = self.stack
        return value

    def protocol(self, number: int) -> None:
        if number not in (2, 3):
            raise DataFormatError(self.path, None, "the pickle protocol", "be 2 or 3", f"{number}")

    def mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def to_mark(self) -> list[Any]:
        """Removes and returns what lies above the last mark."""
        above = list(itertools.takewhile(lambda value: value is not _MARK, reversed(self.stack)))[::-1]
        if len(above) == len(self.stack):
            raise ValueError("a missing mark")
        del self.stack[-len(above) - 1 :]
        return above

    def pack(self, count: int | None) -> None:
        self.stack.append(tuple(self.to_mark() if count is None else [self.stack.pop() for _ in range(count)][::-1]))

    def append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("items appended to something else than a list")
        self.stack[-1].extend(values)

    def update(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict) or len(items) % 2:
            raise TypeError("items set in something else than a dictionary")
        keys = items[::2]
        if not all(isinstance(key, str | bytes) or (type(key) is int and abs(key) < 2**60) for key in keys):
            raise TypeError("a key that is neither a string nor a small integer")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))

    def find(self, name: str) -> None:
        if name not in self.known:
            dotted = short(name.replace(" ", "."))
            raise DataFormatError(
                self.path, None, "the pickle", "be plain data", f"the global {dotted}, which is refused"
            )
        self.stack.append(self.known[name])

    def call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not callable(function) or not isinstance(arguments, tuple):
            raise TypeError("a call of something that is not a function")
        self.stack.append(function(*arguments))

    def build(self, _: Any) -> None:
        state, instance = self.stack.pop(), self.stack[-1]
        if isinstance(instance, Buildable):
            instance.build(state)
        elif not isinstance(instance, dict):
            raise TypeError(f"a state for a value of type {type(instance).__name__}")

    def resolve(self, _: Any) -> None:
        if self.persistent is None:
            raise TypeError("a persistent id")
        self.stack.append(self.persistent(self.stack.pop()))


_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.protocol,
    "STOP": lambda machine, _: None,
    "MARK": _Machine.mark,
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "TUPLE": lambda machine, _: machine.pack(None),
    "TUPLE1": lambda machine, _: machine.pack(1),
    "TUPLE2": lambda machine, _: machine.pack(2),
    "TUPLE3": lambda machine, _: machine.pack(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.to_mark()),
    "SETITEM": lambda machine, _: machine.update([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.update(machine.to_mark()),
    "GLOBAL": _Machine.find,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.resolve,
}
_ALLOWED = frozenset({*_ITSELF, *_BYTES, *_PUT, *_GET, *_CONSTANTS, *_OPERATIONS})
