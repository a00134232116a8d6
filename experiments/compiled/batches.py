"""The largest batch that a slice holds, and what each of several batch sizes costs."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from experiments.compiled.programs import Compiled, TooLarge
from experiments.compiled.report import bounds_of, size, table, too_large
from fjdl.analysis import Chip
from fjdl.errors import UsageError

MOST = 8  # programs that a search compiles

Try = Callable[[int], Compiled | TooLarge]  # from a batch size to what its program is


class Largest(NamedTuple):
    """The result of a search."""

    batch: int | None  # None where none of those tried fits
    compilations: int
    facts: Compiled | None


def largest_batch(compile_at: Try, *, refused: int, unit: int, most: int = MOST) -> Largest:
    """The largest multiple of `unit` below `refused` that fits: powers of two down, then halves of what is between.

    It ends where what is between is an eighth of what fits, or after `most` programs.
    """
    low, high, facts, compilations = 0, refused, None, 0
    size = _power_below(refused, unit)
    while size >= unit and compilations < most:
        compilations += 1
        if isinstance(found := compile_at(size), Compiled):
            low, facts = size, found
            break
        high, size = size, size // 2 // unit * unit
    while high - low > low // 8 and low and compilations < most and (middle := (low + high) // 2 // unit * unit) > low:
        compilations += 1
        if isinstance(found := compile_at(middle), Compiled):
            low, facts = middle, found
        else:
            high = middle
    return Largest(low or None, compilations, facts)


def _power_below(refused: int, unit: int) -> int:
    """The largest power of two times the unit below a batch."""
    size = unit
    while 2 * size < refused:
        size *= 2
    return size if size < refused else 0


def sizes_around(batch: int, unit: int) -> list[int]:
    """A quarter of a batch to eight times it, doubling, those that the devices can share.

    >>> sizes_around(96, 16)
    [48, 96, 192, 384, 768]
    """
    wanted = [batch // 4, batch // 2, *(batch * 2**power for power in range(4))]
    return [size for size in wanted if size >= unit and size % unit == 0]


def sweep(compile_at: Try, batches: list[int], chip: Chip) -> Iterator[str]:
    """A row for each batch size, up to the first that does not fit or that the recipe refuses."""
    head = (
        "batch",
        "a device",
        "held",
        "peak",
        "GFLOP",
        "accessed",
        "FLOP/B",
        "steps/s",
        "examples/s",
        "MFU",
        "by cycles",
    )
    rows: list[tuple[str, ...]] = []
    ending = "all of them fit"
    for batch in batches:
        try:
            found = compile_at(batch)
        except UsageError as error:
            ending = f"a batch of {batch} is refused: {error}"
            break
        if isinstance(found, TooLarge):
            ending = too_large(found, chip)
            break
        rows.append(_row(found, chip))
    yield from table(head, rows)
    yield ending


def _row(facts: Compiled, chip: Chip) -> tuple[str, ...]:
    found = bounds_of(facts, chip)
    priced = f"{100 * found.priced_mfu:.1f} %" if found.priced_mfu is not None else ""
    return (
        str(facts.batch),
        f"{facts.batch / facts.devices:g}",
        size(facts.memory.held),
        size(facts.memory.peak),
        f"{facts.flops / 1e9:.4g}",
        size(facts.traffic),
        f"{found.intensity:.1f}",
        f"{found.steps:.4g}",
        f"{found.steps * facts.batch:,.0f}",
        f"{100 * found.mfu:.1f} %",
        priced,
    )
