"""The largest network whose training step fits a slice, with a copy of its state on each device and with a part.

The process that compiles, as `experiments.compiled.child` is: `experiments.tpu largest` starts it.
"""

import dataclasses
import functools
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from experiments.command import load_config, run_guarded
from experiments.compiled.page import chip_named
from experiments.compiled.programs import Compiled, TooLarge, compile_part
from experiments.compiled.report import size
from experiments.compiled.topology import Slice, find_slice, require_compiler, require_name
from experiments.pages.markdown import replace_table, require_markers

CONFIG = Path("configs/digits_mlp.py")
UNIT = 256  # widths are multiples of it, as the matrix units like them
HEAD = "| state | devices | width | parameters | held a device | of it state | refused: width | asked for |"


@dataclasses.dataclass(frozen=True)
class Options:
    """Find the widest multilayer perceptron whose training step fits a slice, by bisection over compiled programs."""

    topology: str = "v5e:2x4"
    """The slice."""
    layers: int = 8
    """Hidden layers, all of one width."""
    examples: int = 128
    """Of each device in a step."""
    precision: str = "bfloat16"
    """Of activations and products."""
    write: Path | None = None
    """A Markdown file whose generated part "largest" is replaced."""


class Found(NamedTuple):
    """The widest that fits and the narrowest that does not."""

    fits: int
    facts: Compiled
    refused: int
    asked: int | None  # bytes, where the compiler names them


def main() -> None:
    """Compiles, prints a row for each layout, and writes the table."""
    options = tyro.cli(Options, args=sys.argv[1:])
    require_name(options.topology)
    require_compiler()
    if options.write is not None:
        require_markers(options.write, section="largest")
    where = find_slice(options.topology)
    lines = [HEAD, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    print("\n".join(lines), flush=True)
    for row in rows(options, where):
        print(row, flush=True)
        lines.append(row)
    if options.write is not None:
        replace_table(options.write, f"{_provenance(options)}\n\n" + "\n".join(lines), section="largest")


def rows(options: Options, where: Slice) -> Iterator[str]:
    """A row for each layout."""
    from fjdl.train.layout import DATA_PARALLEL, fully_sharded

    for name, layout in {"a copy on each": DATA_PARALLEL, "a part on each": fully_sharded()}.items():
        found = widest(functools.partial(compiled, options, where, layout))
        facts = found.facts
        yield (
            f"| {name} | {facts.devices} | {found.fits:,} | {parameters(options, found.fits) / 1e6:,.0f} million | "
            f"{size(facts.memory.held)} | {size(facts.memory.arguments)} | {found.refused:,} | "
            f"{size(found.asked) if found.asked else ''} |"
        )


def widest(compile_at: Callable[[int], Compiled | TooLarge], *, start: int = 8192) -> Found:
    """Doubles the width until it is refused, then halves what is between down to `UNIT`."""
    fits, facts, refused, asked, width = 0, None, 0, None, start
    while not refused or refused - fits > UNIT:
        made = compile_at(width)
        if isinstance(made, Compiled):
            fits, facts = width, made
        else:
            refused, asked = width, made.asked
        width = (fits + refused) // 2 // UNIT * UNIT if refused else 2 * width
    assert facts is not None
    return Found(fits, facts, refused, asked)


def compiled(options: Options, where: Slice, layout: Any, width: int) -> Compiled | TooLarge:
    """The step of the network of a width under a layout."""
    from fjdl.train.prepare import prepare

    start = time.monotonic()
    recipe = load_config(CONFIG)(
        hidden=(width,) * options.layers,
        dropout=0.0,
        batch_size=options.examples * len(where.devices),
        precision=options.precision,
    )
    prepared = prepare(dataclasses.replace(recipe, layout=layout), devices=where.devices)
    made, _ = compile_part(prepared, "step", where)
    verdict = "fits" if isinstance(made, Compiled) else "does not fit"
    print(f"width {width:,} {verdict}, compiled in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return made


def parameters(options: Options, width: int) -> int:
    """Kernels and biases of 64 inputs, so many layers of one width, and 10 classes.

    >>> parameters(Options(layers=2), 100)  # 64 x 100 + 100 x 100 + 100 x 10, and 210 biases
    17610
    """
    sides: Sequence[int] = (64, *[width] * options.layers, 10)
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sides))


def _provenance(options: Options) -> str:
    import jax

    chip = chip_named(options.topology.partition(":")[0])
    return (
        f"`python -m experiments.tpu largest --topology {options.topology} --layers {options.layers} "
        f"--examples {options.examples} --precision {options.precision}`: {size(chip.device_hbm)} a device; "
        f"{time.strftime('%Y-%m-%d')}, jax {jax.__version__}, libtpu {require_compiler()}."
    )


if __name__ == "__main__":
    run_guarded(main)
