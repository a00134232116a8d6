"""Weak scaling on paper: what a compiled step exchanges, beside how long it computes, for more and more chips."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.compiled.network import SHAPES, Shape, exchange, links_of
from experiments.pages.markdown import replace_table, require_markers, table_line
from fjdl.errors import UsageError

HEAD = (
    "config", "a chip", "step, ms", "collectives", "MB", "chips", "bytes, ms", "hops, ms", "between slices, ms",
    "efficiency, %", "with overlap, %",
)  # fmt: skip


class Predicted(NamedTuple):
    """One step on so many chips, each with its own examples."""

    chips: int
    seconds: float  # of computing
    bytes: float  # seconds of exchanging, as `Exchange`
    hops: float
    across: float

    @property
    def efficiency(self) -> float:
        """The share of the step that computes, in (0, 1], where chips wait for every exchange."""
        return self.seconds / (self.seconds + self.exchanged)

    @property
    def overlapped(self) -> float:
        """The same where every exchange runs while the chip computes."""
        return self.seconds / max(self.seconds, self.exchanged)

    @property
    def exchanged(self) -> float:
        """Seconds of all exchanges."""
        return self.bytes + self.hops + self.across


def write(files: Sequence[Path], page: Path | None) -> None:
    """Prints the table for the numbers that checks wrote, and puts it into a page."""
    if page is not None:
        require_markers(page, section="scaling")
    checks = [read(path) for path in files]
    table = [table_line(HEAD), table_line(["---", *["---:"] * (len(HEAD) - 1)])]
    table += [table_line(cells) for check in checks for cells in rows(check)]
    print("\n".join(table), flush=True)
    if page is not None:
        replace_table(page, "\n".join([*_provenance(checks), "", *table]), section="scaling")


def read(path: Path) -> Mapping[str, Any]:
    """What `check --json` wrote of one step; raises `UsageError` for another file."""
    try:
        facts = json.loads(path.read_text())
        (step,) = facts["programs"]
        if step["steps"] != 1 or facts["setting"]["devices"] != step["devices"]:
            raise UsageError(f"{path} must hold a step: check it with --programs step")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} must be what check --programs step --json wrote, and is not") from error
    return facts


def predicted(facts: Mapping[str, Any], shape: Shape) -> Predicted:
    """The step of a check on slices of another shape, each chip with the examples that it has in the check.

    What a chip computes and what it exchanges stays the same: gradients have the size of parameters, and sums of
    batch norm that of channels.
    """
    (step,) = facts["programs"]
    links = links_of(facts["setting"]["chip"])
    parts = [0.0, 0.0, 0.0]
    for row in step["collectives"]:
        each = exchange(row["kind"], row["bytes"] / row["number"], shape, links)
        parts = [part + row["number"] * seconds for part, seconds in zip(parts, each, strict=True)]
    return Predicted(shape.chips, seconds_of(facts), *parts)


def seconds_of(facts: Mapping[str, Any]) -> float:
    """The longest of a step's three bounds: arithmetic, memory traffic, and the estimated cycles."""
    from experiments.compiled.bounds import bounds
    from experiments.compiled.page import chip_named, cycles_of

    (step,) = facts["programs"]
    found = bounds(
        flops=step["flops"],
        traffic=step["traffic"],
        cycles=cycles_of(step),
        model_flops=step["flops"],
        chip=chip_named(facts["setting"]["chip"]),
    )
    return max(found.arithmetic, found.traffic, found.priced or 0.0)


def rows(facts: Mapping[str, Any]) -> Iterator[list[str]]:
    """A row for each number of chips; what a chip does stands in the first."""
    (step,) = facts["programs"]
    size = sum(row["bytes"] for row in step["collectives"])
    number = sum(row["number"] for row in step["collectives"])
    own = [
        Path(facts["setting"]["config"]).stem,
        f"{step['batch'] / step['devices']:g}",
        f"{1e3 * seconds_of(facts):.2f}",
        str(number),
        f"{size / 1e6:.1f}",
    ]
    for place, shape in enumerate(SHAPES.values()):
        found = predicted(facts, shape)
        times = [f"{1e3 * seconds:.2f}" for seconds in (found.bytes, found.hops, found.across)]
        shares = [f"{100 * share:.1f}" for share in (found.efficiency, found.overlapped)]
        yield [*(own if not place else [""] * len(own)), f"{shape.chips:,}", *times, *shares]


def _provenance(checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The command of each check, and of the table."""
    for facts in checks:
        setting, (step,) = facts["setting"], facts["programs"]
        config, where = Path(setting["config"]), f"--topology {setting['topology']} --precision {step['precision']}"
        yield (
            f"`python -m experiments.tpu check {config} {where} "
            f"--programs step --batch-size {step['batch']} --json {config.stem}.json`, {setting['date']}, jax "
            f"{setting['jax']}, libtpu {setting['libtpu']};"
        )
    files = " ".join(f"{Path(facts['setting']['config']).stem}.json" for facts in checks)
    yield f"then `python -m experiments.tpu scaling {files} --write docs/tpu.md`. No TPU was used."
