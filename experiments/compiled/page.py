"""The tables of docs/tpu.md: a row for each config and slice, and for each comparison with Flax."""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.compiled.topology import CompilerError, require_name
from experiments.pages.markdown import markers, replace_table, require_markers, table_line
from fjdl.errors import UsageError

CONFIGS = Path("configs")
OPTIONS = {"fashion_mnist_finetuned": ("--start", "random")}  # whose trained weights are a download
SHARED_BY_16 = {"fashion_mnist_resnet": ("--batch-size", "512")}  # whose batch of 500 sixteen devices cannot share
COMPARED = ("imagenet_resnet50", "cifar10_resnet20", "mnist_lenet", "fashion_mnist_mlp")

HEAD = (
    "config", "program", "batch", "arguments, MB", "temporaries, MB", "peak, MB", "GFLOP", "accessed, MB",
    "collectives", "cycles, k", "bound on MFU, %", "by cycles, %", "compiled in, s",
)  # fmt: skip
AGAINST = (
    "config", "batch a device", "GFLOP", "accessed, MB", "temporaries, MB", "peak, MB", "collectives", "cycles, k"
)  # fmt: skip

Compile = Callable[[list[str]], int]  # from the arguments of a check to its exit status


def make(
    page: Path,
    run: Compile,
    *,
    topologies: Sequence[str],
    precision: str,
    only: Sequence[str] = (),
    again: bool = False,
) -> None:
    """Fills the generated parts of the page, one check after the other; each row is written when it is known.

    Rows that are there stay, unless `again`, or `only` names their config. Raises `UsageError` for a name that is no
    config and a page without the markers, and `CompilerError` at the end with the checks that failed.
    """
    names = sorted(path.stem for path in CONFIGS.glob("*.py"))
    if unknown := [name for name in only if name not in names]:
        raise UsageError(f"only must name configs, {', '.join(names)}, got {unknown[0]!r}")
    sections = {require_name(topology): names for topology in topologies}
    for section in (*sections, "flax"):
        require_markers(page, section=section)
    jobs = [(section, name) for section, configs in sections.items() for name in configs]
    jobs += [("flax", name) for name in COMPARED]
    failed = []
    for section, name in jobs:
        known = name in rows_of(page, section)
        if (only and name not in only) or (known and not (again or only)):
            continue
        facts = _facts(run, _arguments(section, name, precision))
        if facts is None:
            failed.append(f"{name} ({section})")
        else:
            write_row(page, section, name, facts, precision)
    if failed:
        raise CompilerError(f"these checks failed, what they said is above: {', '.join(failed)}")


def rows_of(page: Path, section: str) -> dict[str, str]:
    """The rows that a section has, by the name of their config."""
    start, end = markers(section)
    inside = page.read_text().partition(start)[2].partition(end)[0] if page.is_file() else ""
    lines = [line for line in inside.splitlines() if line.startswith("| ")]
    return {line.split("|")[1].strip(): line for line in lines[2:]}


def write_row(page: Path, section: str, name: str, facts: Mapping[str, Any], precision: str) -> None:
    """Puts a row into its section, in the order of names, under a line that says how and when it was made."""
    row, head = (against_row, AGAINST) if section == "flax" else (check_row, HEAD)
    rows = {**rows_of(page, section), name: table_line(row(name, facts))}
    lines = [table_line(head), table_line(["---", *["---:"] * (len(head) - 1)]), *(rows[key] for key in sorted(rows))]
    replace_table(page, f"{_provenance(section, facts['setting'], precision)}\n\n" + "\n".join(lines), section=section)


def check_row(name: str, facts: Mapping[str, Any]) -> list[str]:
    """A config on one slice: its training program, and one step of it."""
    from experiments.compiled.bounds import bounds

    (found,) = facts["programs"]
    cycles = cycles_of(found)
    limits = bounds(
        flops=found["flops"],
        traffic=found["traffic"],
        cycles=cycles,
        model_flops=found["model_flops"] or found["flops"],
        chip=chip_named(facts["setting"]["chip"]),
    )
    memory = found["memory"]
    return [
        name,
        f"epoch of {found['steps']}" if found["steps"] > 1 else "step",
        str(found["batch"]),
        *(_mega(memory[part]) for part in ("arguments", "temporaries", "peak")),
        _number(found["flops"] / 1e9),
        _mega(found["traffic"]),
        str(exchanges_of(found)),
        f"{cycles / 1e3:,.0f}",
        _number(100 * limits.mfu),
        _number(100 * limits.priced_mfu) if limits.priced_mfu is not None else "",
        f"{found['seconds']:.0f}",
    ]


def against_row(name: str, facts: Mapping[str, Any]) -> list[str]:
    """A config's step beside its twin: fjdl / Flax, and the ratio."""
    ours, theirs = facts["programs"]
    pairs = [
        (ours["flops"] / 1e9, theirs["flops"] / 1e9),
        (ours["traffic"] / 1e6, theirs["traffic"] / 1e6),
        *((ours["memory"][part] / 1e6, theirs["memory"][part] / 1e6) for part in ("temporaries", "peak")),
        (exchanges_of(ours), exchanges_of(theirs)),
        (cycles_of(ours) / 1e3, cycles_of(theirs) / 1e3),
    ]
    return [name, f"{ours['batch'] / ours['devices']:g}", *(_pair(*pair) for pair in pairs)]


def cycles_of(program: Mapping[str, Any]) -> int:
    """Estimated cycles of a step."""
    return sum(price["forward"] + price["backward"] for price in program["kinds"].values())


def exchanges_of(program: Mapping[str, Any]) -> int:
    """Collectives of a step."""
    return sum(row["number"] for row in program["collectives"])


def chip_named(name: str) -> Any:
    """The chip of a slice."""
    from fjdl.analysis.chips import CHIPS

    return next(chip for chip in CHIPS if chip.name == name)


def _arguments(section: str, name: str, precision: str) -> list[str]:
    topology = "v5e:2x2" if section == "flax" else section
    what = ["--against", "flax"] if section == "flax" else ["--programs", "training"]
    sixteen = SHARED_BY_16.get(name, ()) if topology not in ("v5e:2x2", "v6e:2x2") else ()
    return [
        str(CONFIGS / f"{name}.py"), "--topology", topology, "--precision", precision, *what, *OPTIONS.get(name, ()),
        *sixteen,
    ]  # fmt: skip


def _facts(run: Compile, arguments: list[str]) -> Any:
    """What a check writes to a file; None where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "facts.json"
        print(f"{time.strftime('%H:%M:%S')} python -m experiments.tpu check {' '.join(arguments)}", file=sys.stderr)
        try:
            status = run([*arguments, "--json", str(path)])
        except CompilerError as error:
            print(f"fjdl: {error}", file=sys.stderr)
            return None
        return json.loads(path.read_text()) if status == 0 else None


def _provenance(section: str, setting: Mapping[str, Any], precision: str) -> str:
    what = "a step against Flax on v5e:2x2" if section == "flax" else f"{section}, {setting['devices']} devices"
    hosts = f" on {setting['hosts']} hosts" if setting["hosts"] > 1 else ""
    return (
        f"`python -m experiments.tpu table`: {what}{hosts}, {precision}; the last row was made on {setting['date']} "
        f"with jax {setting['jax']} and libtpu {setting['libtpu']}."
    )


def _mega(size: float) -> str:
    return f"{size / 1e6:,.1f}" if size < 1e8 else f"{size / 1e6:,.0f}"


def _number(value: float) -> str:
    """Three digits of a number; below a hundredth they say nothing."""
    if 0 < value < 0.01:
        return "< 0.01"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _pair(ours: float, theirs: float) -> str:
    ratio = f" ({ours / theirs:.2f})" if theirs else ""
    return f"{ours:,.4g} / {theirs:,.4g}{ratio}" if max(ours, theirs) < 1e4 else f"{ours:,.0f} / {theirs:,.0f}{ratio}"
