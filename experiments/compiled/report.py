"""What a check prints: one program's numbers as lines of text."""

from collections.abc import Iterator, Sequence

from experiments.compiled.bounds import Bounds, bounds
from experiments.compiled.kinds import total
from experiments.compiled.programs import Compiled, TooLarge
from fjdl.analysis import Chip

TITLES = {"training": "training", "step": "single step", "evaluation": "evaluation"}


def bounds_of(facts: Compiled, chip: Chip) -> Bounds:
    """The bounds of its step on one device."""
    model = facts.model_flops or facts.flops
    return bounds(flops=facts.flops, traffic=facts.traffic, cycles=facts.cycles, model_flops=model, chip=chip)


def report(facts: Compiled, chip: Chip, *, top: int = 0) -> str:
    """All of it, a subject a paragraph."""
    lines = [
        _title(facts),
        *_memory(facts, chip),
        *_rates(facts, chip),
        *_kinds(facts),
        *_collectives(facts),
        *_unpriced(facts),
        *_deviations(facts),
        *_wide(facts),
        *_inner(facts),
        *_costly(facts, top),
    ]
    return "\n".join(lines)


def too_large(facts: TooLarge, chip: Chip) -> str:
    """That a program does not fit, with its numbers."""
    asked = f"it asks for {size(facts.asked)}" if facts.asked else "it asks for more than there is"
    available = facts.available or chip.device_hbm
    return f"a batch of {facts.batch} does not fit: {asked} of the {size(available)} of a device"


def size(count: float) -> str:
    """Bytes in kB, MB or GB, powers of 1000.

    >>> size(56_400_000), size(3_483_000_000), size(17_180_000_000)
    ('56.4 MB', '3483 MB', '17.18 GB')
    """
    if count < 1e6:
        return f"{count / 1e3:.1f} kB"
    if count < 1e10:
        return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.2f} GB"


def _title(facts: Compiled) -> str:
    runs = f"{facts.steps} steps a call" if facts.steps > 1 else "one step a call"
    share = facts.batch / facts.devices
    each = f"{facts.batch} examples, {share:g} a device"
    return f"{TITLES[facts.part]}: {runs}, {each}, {facts.precision}; lowered and compiled in {facts.seconds:.0f} s"


def _memory(facts: Compiled, chip: Chip) -> Iterator[str]:
    memory, whole = facts.memory, chip.device_hbm
    yield (
        f"  memory of a device: arguments {size(memory.arguments)}, temporaries {size(memory.temporaries)}, "
        f"outputs beside them {size(memory.outputs - memory.aliased)}, code {size(memory.code)}; "
        f"peak {size(memory.peak)}"
    )
    yield f"    held while it runs {size(memory.held)}, free {size(whole - memory.held)} of {size(whole)}"
    for held in facts.held:
        what = "copy of the data" if held.copy else "data"
        more = f", {held.padded / held.bytes:.2f} x with padding" if held.padded != held.bytes else ", no padding"
        yield f"    {what} {held.shape}: {size(held.padded)}{more}"


def _rates(facts: Compiled, chip: Chip) -> Iterator[str]:
    found = bounds_of(facts, chip)
    formula = ""
    if facts.model_flops:
        name = "2 x forward MACs" if facts.part == "evaluation" else "3 x 2 x forward MACs"
        formula = f", {facts.flops / facts.model_flops:.3f} of {name}"
    yield f"  a step of a device: {facts.flops / 1e9:.4g} GFLOP{formula}; {size(facts.traffic)} accessed"
    yield (
        f"    {found.intensity:.1f} FLOP/byte: bound by {found.limit}, at most {found.steps:.4g} steps/s and "
        f"{100 * found.mfu:.1f} % of {chip.device_flops / 1e12:.0f} TFLOP/s ({chip.name})"
    )
    if found.priced and found.priced_mfu is not None:
        yield (
            f"    {facts.cycles:,} estimated cycles, {1e3 * found.priced:.4g} ms at {(chip.clock or 0) / 1e9:g} GHz: "
            f"{1 / found.priced:.4g} steps/s, {100 * found.priced_mfu:.1f} %"
        )


def _kinds(facts: Compiled) -> Iterator[str]:
    whole = total(facts.kinds)
    if not whole.cycles:
        return
    yield f"  estimated cycles by kind, {whole.operations:,} priced operations:"
    yield f"    {'':14} {'forward':>12} {'backward':>12} {'all':>12} {'share':>7} {'operations':>10}"
    for kind, price in [*facts.kinds.items(), ("all", whole)]:
        share = 100 * price.cycles / whole.cycles
        numbers = f"{price.forward:>12,} {price.backward:>12,} {price.cycles:>12,} {share:>5.1f} %"
        yield f"    {kind:14} {numbers} {price.operations:>10,}"
    if facts.around:
        yield f"    and {facts.around:,} a call outside of its steps"


def _collectives(facts: Compiled) -> Iterator[str]:
    if not facts.collectives:
        yield "  collectives: none"
        return
    yield "  collectives:"
    for row in facts.collectives:
        how = "synchronous"
        if row.asynchronous:
            how = f"asynchronous, {row.overlapped} of {row.number} with work meanwhile"
        yield f"    {row.number:>5} {row.kind} of {row.dtypes}, {size(row.bytes)}, {how}"


def _unpriced(facts: Compiled) -> Iterator[str]:
    if facts.unpriced:
        yield "  without a price, and so in no sum:"
    for row in facts.unpriced[:12]:
        yield f"    {row.number:>5} {row.opcode} ({row.kind}), {size(row.bytes)} of results"


def _deviations(facts: Compiled) -> Iterator[str]:
    if not facts.deviations:
        yield f"  every product is {facts.precision}"
        return
    yield f"  products that are not {facts.precision}:"
    for row in facts.deviations:
        operands = f"{row.operands}, precision {row.precision}"
        yield f"    {row.number:>5} {row.kind}: {operands}, such as {shortened(row.example)}"


def _wide(facts: Compiled) -> Iterator[str]:
    if facts.wide:
        yield "  float32 arrays of 1 MiB or more that a step writes, those of the optimizer left out:"
    for row in facts.wide:
        yield f"    {row.number:>5} of {row.kind}, {size(row.bytes)}"


def _inner(facts: Compiled) -> Iterator[str]:
    if not facts.inner:
        yield "  no loop inside of a step"
        return
    yield "  loops inside of a step:"
    for loop in facts.inner:
        rounds = "an unknown number of" if loop.trips is None else loop.trips
        times = f", {loop.times} times" if loop.times > 1 else ""
        yield f"    {rounds} rounds{times}: {shortened(loop.source)}"


def _costly(facts: Compiled, top: int) -> Iterator[str]:
    if top:
        yield "  costliest instructions of a step:"
    for row in facts.costly[:top]:
        yield f"    {row.cycles:>12,} {row.name:40} {shortened(row.source)}"


def shortened(name: str, most: int = 90) -> str:
    """The end of an operation's name, which says more than its beginning."""
    return name if len(name) <= most else "…" + name[-most:]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under their heads, the first aligned to the left."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    ]
