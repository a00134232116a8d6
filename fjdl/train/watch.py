"""Where the time of an epoch goes, as the host sees it; nothing here makes the devices wait for the host."""

import time
from types import TracebackType
from typing import Any, NamedTuple, Self

import jax
from jax.sharding import Mesh

from fjdl.analysis import chip_of, total
from fjdl.train.compile_time import CompileTime
from fjdl.train.prepare import Prepared
from fjdl.train.progress import Progress, Say, silent
from fjdl.train.waiting import Waiting
from fjdl.typing import PyTree

GIB = 2**30


class Work(NamedTuple):
    """What an epoch asks of the devices."""

    steps: int
    examples: int
    operations: float | None  # floating-point operations of one example, None where they or the peak are not known
    peak: float | None  # of all devices together, such operations per second in bfloat16
    streamed: bool  # whether examples come batch by batch


class Timing(NamedTuple):
    """What timing.jsonl says of an epoch; None for what is not known there."""

    seconds: float  # of the whole epoch: training, compilation, evaluation
    compile_seconds: float  # of making programs, or reading them from the cache, in any part of it
    train_seconds: float | None  # from its start to the end of its last step
    steps_per_second: float | None  # in training, without compilation
    examples_per_second: float | None
    mfu: float | None  # share of the devices' peak: 3 x 2 x forward MACs of the examples, in these seconds
    data_wait: float | None  # share of the training in which the devices had nothing to do until a batch came
    memory_bytes: int | None  # in use on the fullest device at the end
    peak_memory_bytes: int | None  # the most that were in use on a device up to then
    memory_limit_bytes: int | None

    def text(self) -> str:
        """The rates and shares that are known, for the progress bar."""
        told = []
        if self.steps_per_second is not None and self.examples_per_second is not None:
            told += [f"{_short(self.steps_per_second)} steps/s", f"{_short(self.examples_per_second)} examples/s"]
        if self.mfu is not None:
            told.append(f"MFU {100 * self.mfu:.1f} %")
        if self.peak_memory_bytes is not None and self.memory_limit_bytes is not None:
            told.append(f"{self.peak_memory_bytes / GIB:.1f} of {self.memory_limit_bytes / GIB:.1f} GiB")
        if self.data_wait is not None:
            told.append(f"{100 * self.data_wait:.0f} % waiting for data")
        return ", ".join(told)


class Watch:
    """Times one epoch after the other, inside its block, and moves the progress along."""

    def __init__(self, work: Work, mesh: Mesh, progress: Progress, *, say: Say = silent) -> None:
        self._work, self._mesh, self._progress, self._say = work, mesh, progress, say
        self._compiling, self._announced, self._waiting = CompileTime(), False, Waiting("compiling", say)
        self._start = self._free = time.monotonic()
        self._compiled, self._compiled_in_training, self._waited = 0.0, 0.0, 0.0
        self._ended: float | None = None
        self._last: Any = None  # of the results that are under way

    def begin(self) -> None:
        """An epoch begins."""
        self._start = self._free = time.monotonic()
        self._compiled, self._compiled_in_training = self._compiling.seconds(), 0.0
        self._waited, self._ended = 0.0, None
        self._last = None
        if not self._announced:
            self._say("compiling ...")
            self._waiting.begin()

    def before(self, step: int, *, until: int) -> None:
        """A batch has come; the wait for it counts where the devices had done all steps before by then."""
        del step, until
        if self._last is None or self._last.is_ready():
            self._waited += time.monotonic() - self._free

    def after(self, step: int, result: PyTree) -> None:
        """Steps are under way on the devices; after the last one of an epoch of batches the host waits for them."""
        self._free, self._last = time.monotonic(), jax.tree.leaves(result)[0]
        self._compiled_in_training = self._compiling.seconds() - self._compiled
        if not self._announced:
            self._announced = True
            self._waiting.end()
            self._say(f"compiled the training in {self._compiled_in_training:.1f} s")
        if self._work.streamed and step % self._work.steps:
            self._progress.move(step)
        elif self._work.streamed:
            self.trained(result)

    def trained(self, report: PyTree) -> None:
        """Waits for the last step's report, which all else of the epoch that is under way comes after.

        When it ended is not known where it had ended before this was asked, while an evaluation was compiled.
        """
        if self._ended is not None:
            return
        leaf = jax.tree.leaves(report)[0]
        late = leaf.is_ready() and self._compiling.seconds() - self._compiled > self._compiled_in_training
        leaf.block_until_ready()
        self._ended = None if late else time.monotonic()

    def timing(self) -> Timing:
        """Of the epoch, which has ended."""
        work, compiled = self._work, self._compiling.seconds() - self._compiled
        training = None if self._ended is None else self._ended - self._start
        running = None if training is None else training - self._compiled_in_training
        rate = 1 / running if running is not None and running > 0 else None
        known = rate is not None and work.operations is not None and work.peak is not None
        return Timing(
            seconds=time.monotonic() - self._start,
            compile_seconds=compiled,
            train_seconds=training,
            steps_per_second=rate and work.steps * rate,
            examples_per_second=rate and work.examples * rate,
            mfu=work.operations * work.examples * rate / work.peak if known else None,  # type: ignore[operator]
            data_wait=min(1.0, self._waited * rate) if work.streamed and rate is not None else None,
            **memory(self._mesh),
        )

    def __enter__(self) -> Self:
        self._compiling.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.end()
        self._compiling.__exit__(kind, error, trace)


def work_of(prepared: Prepared) -> Work:
    """An epoch of the recipe on its devices."""
    recipe, splits, mesh, program = prepared
    train, peak = splits.train, peak_of(mesh)
    operations = None
    if peak is not None:
        layers = recipe.model.layers(recipe.seen(train.element(0)))
        operations = 6.0 * total(layers).macs if layers else None
    return Work(program.steps_per_epoch, train.length, operations, peak, train.streamed)


def peak_of(mesh: Mesh) -> float | None:
    """Operations per second of all devices together, None where the table of chips lacks one of them."""
    chips = [chip_of(device.device_kind) for device in mesh.devices.flat]
    return None if None in chips else sum(chip.device_flops for chip in chips if chip is not None)


def memory(mesh: Mesh) -> dict[str, Any]:
    """The fullest device's memory, in bytes; None where devices do not tell."""
    stats = [device.memory_stats() or {} for device in mesh.local_devices]

    def most(name: str) -> int | None:
        found = [each[name] for each in stats if name in each]
        return max(found) if found else None

    return {
        "memory_bytes": most("bytes_in_use"),
        "peak_memory_bytes": most("peak_bytes_in_use"),
        "memory_limit_bytes": most("bytes_limit"),
    }


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
