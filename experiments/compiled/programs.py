"""The programs of a training, compiled for the devices of a slice, and what can be read off them."""

import dataclasses
import math
import re
import time
from typing import Any, NamedTuple

from experiments.compiled.collectives import Collective, Unpriced, collectives, unpriced
from experiments.compiled.hlo import Module, parse
from experiments.compiled.kinds import Price, name_of, prices
from experiments.compiled.memory import Held, Memory, Wide, held_data, memory_of, wide_arrays
from experiments.compiled.products import Deviation, deviations
from experiments.compiled.schedule import Executed, cycles, executed, loops, step_of
from experiments.compiled.topology import CompilerError, Slice
from experiments.mistakes import users_mistakes
from fjdl.train.prepare import Call, Prepared, evaluation_call, training_call
from fjdl.train.resident import Resident


class Costly(NamedTuple):
    """One instruction, with what it costs in a step."""

    cycles: int
    name: str
    source: str


class Inner(NamedTuple):
    """A loop inside of a step."""

    source: str  # the operation that made it
    trips: int | None
    times: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compiled:
    """What a compiled program is and does, on each device; numbers from `flops` on are those of one step."""

    part: str
    steps: int  # that one call runs
    batch: int  # examples of a step on all devices
    devices: int
    precision: str
    seconds: float  # of lowering and compiling
    memory: Memory
    held: tuple[Held, ...]
    flops: float  # as the compiler counts them, loops inside of a step once
    traffic: float  # bytes accessed, on-chip memory included
    model_flops: float  # by formula, 0 where the layers are not known
    kinds: dict[str, Price]
    around: int  # estimated cycles of one call outside of its steps
    unpriced: tuple[Unpriced, ...]
    collectives: tuple[Collective, ...]
    deviations: tuple[Deviation, ...]
    wide: tuple[Wide, ...]  # of a program in bfloat16
    inner: tuple[Inner, ...]
    costly: tuple[Costly, ...]

    @property
    def cycles(self) -> int:
        """Estimated cycles of a step."""
        return sum(price.cycles for price in self.kinds.values())

    @property
    def exchanges(self) -> int:
        """Collective operations of a step."""
        return sum(row.number for row in self.collectives)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TooLarge:
    """A program that does not fit into a device's memory; its bytes are None where the compiler does not name them."""

    batch: int
    asked: int | None
    available: int | None


def call_of(prepared: Prepared, part: str) -> Call:
    """The call of a part of training: what `experiments.train` calls, one step, or the evaluation of validation."""
    if part == "evaluation":
        state = training_call(prepared, single=True).arguments[0]
        return evaluation_call(prepared, state, prepared.splits.validation)
    return training_call(prepared, single=True if part == "step" else None)


def steps_of(prepared: Prepared, part: str) -> int:
    """The steps that one call runs."""
    splits, program = prepared.splits, prepared.program
    if part == "evaluation" and not splits.validation.streamed:
        return -(-splits.validation.length // program.evaluator.batch_size(splits.validation.length))
    return 1 if part != "training" or splits.train.streamed else program.steps_per_epoch


def batch_of(prepared: Prepared, part: str) -> int:
    """The examples of one step of a part."""
    if part == "evaluation":
        return prepared.program.evaluator.batch_size(prepared.splits.validation.length)
    return prepared.recipe.batch_size


def compile_part(prepared: Prepared, part: str, where: Slice) -> tuple[Compiled | TooLarge, str]:
    """What a part of training compiles to, with the program's text."""
    start = time.monotonic()
    with users_mistakes():
        call, batch = call_of(prepared, part), batch_of(prepared, part)
        call.shapes()
    made = compile_call(call, batch)
    if isinstance(made, TooLarge):
        return made, ""
    if (held := memory_of(made).held) > where.chip.device_hbm:  # the compiler itself looks at temporaries alone
        return TooLarge(batch=batch, asked=held, available=where.chip.device_hbm), made.as_text()
    facts = read(
        made,
        part=part,
        steps=steps_of(prepared, part),
        batch=batch,
        precision=prepared.recipe.precision,
        seconds=time.monotonic() - start,
        devices=len(where.devices),
        model_flops=model_flops(prepared, part, batch) / len(where.devices),
        data=resident(call),
    )
    return facts, made.as_text()


def compile_call(call: Call, batch: int) -> Any:
    """The compiled program of a call, or that it is too large.

    Raises `CompilerError` for what the compiler refuses for another reason.
    """
    import jax

    traced = call.function.trace(*call.arguments).lower(lowering_platforms=("tpu",))
    try:
        return traced.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise CompilerError(
                f"the TPU compiler refused the program: {' '.join(str(error).split())[:600]}"
            ) from error
        return TooLarge(batch=batch, **dict(zip(("asked", "available"), sizes_of(str(error)), strict=True)))


def sizes_of(message: str) -> tuple[int | None, int | None]:
    """Bytes asked for and available, as the compiler's message names them.

    >>> sizes_of("the total memory required for HLO temporaries (43.21G) exceeds available HBM (15.75G).")
    (46396384215, 16911433728)
    """
    number = r"([\d.]+)([KMGT]?)"
    found = re.search(rf"\({number}\) exceeds available HBM \({number}\)", message)
    found = found or re.search(rf"Used {number} of {number}", message)
    if not found:
        return None, None
    units = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
    return int(float(found[1]) * units[found[2]]), int(float(found[3]) * units[found[4]])


def read(
    compiled: Any,
    *,
    part: str,
    steps: int,
    batch: int,
    precision: str,
    seconds: float,
    devices: int,
    model_flops: float = 0.0,
    data: tuple[tuple[str, int], ...] = (),
) -> Compiled:
    """What a compiled program tells about itself."""
    module = parse(compiled.as_text())
    step = step_of(module, steps)
    lines = list(executed(module, step.computation))
    cost = compiled.cost_analysis() or {}
    return Compiled(
        part=part,
        steps=steps,
        batch=batch,
        devices=devices,
        precision=precision,
        seconds=seconds,
        memory=memory_of(compiled),
        held=tuple(held_data(module, data)),
        flops=float(cost.get("flops", 0.0)),
        traffic=float(cost.get("bytes accessed", 0.0)),
        model_flops=model_flops,
        kinds=prices(module, lines),
        around=cycles(module, module.entry) - step.trips * cycles(module, step.computation),
        unpriced=tuple(unpriced(module, lines)),
        collectives=tuple(collectives(module, lines)),
        deviations=tuple(deviations(module, lines, precision)),
        wide=tuple(wide_arrays(module, lines)) if precision == "bfloat16" else (),
        inner=tuple(_inner(module, step.computation)),
        costly=tuple(_costly(module, lines)),
    )


def model_flops(prepared: Prepared, part: str, batch: int) -> float:
    """Two for each MAC of the layers' formulas, thrice in training, for a batch; 0 where they are not known."""
    from fjdl.analysis import total

    recipe = prepared.recipe
    layers = recipe.model.layers(recipe.seen(prepared.splits.train.element(0)))
    return (2.0 if part == "evaluation" else 6.0) * total(layers).macs * batch


def resident(call: Call) -> tuple[tuple[str, int], ...]:
    """Dtypes and sizes on one device of the arrays of a data set that the call is given as a whole."""
    data = call.arguments[-1]
    return tuple((_short_dtype(x), _elements(x)) for x in data.rows.values()) if isinstance(data, Resident) else ()


def _elements(leaf: Any) -> int:
    return math.prod(leaf.sharding.shard_shape(leaf.shape) if leaf.sharding is not None else leaf.shape)


def _short_dtype(leaf: Any) -> str:
    """As in a program's text: u8 for uint8, s32 for int32, f32 for float32."""
    name = str(leaf.dtype)
    for long, short in (("uint", "u"), ("int", "s"), ("bfloat", "bf"), ("float", "f"), ("bool", "pred")):
        if name.startswith(long):
            return short + name.removeprefix(long)
    return name


def _inner(module: Module, computation: str) -> list[Inner]:
    return [Inner(loop.instruction.op_name, loop.trips, loop.times) for loop in loops(module, computation)]


def _costly(module: Module, lines: list[Executed], most: int = 40) -> list[Costly]:
    rows = [
        Costly(found.times * found.instruction.cycles, found.instruction.name, name_of(module, found))
        for found in lines
        if found.instruction.cycles is not None
    ]
    return sorted(rows, reverse=True)[:most]
