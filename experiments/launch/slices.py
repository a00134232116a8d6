"""The slices of TPUs that Google Cloud offers, with their names, chips and hosts.

Sources: docs.cloud.google.com/tpu/docs, pages v4, v5e, v5p, v6e, tpu7x and runtimes; and for machine types
docs.cloud.google.com/compute/docs/tpus; AI-Hypercomputer/xpk, `system_characteristics.py`, for what GKE gets by it.
"""

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from fjdl.errors import UsageError

PlaneName = Literal["tpu-vm", "queued", "instance", "group", "gke"]

FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16", "8x16x16")
AMD = "ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e"  # an image family of Compute Engine
OTHERS = {
    "v2": "v4", "v3": "v4", "v5e": "v5litepod", "v5lite": "v5litepod", "v6": "v6e", "trillium": "v6e",
    "v7x": "tpu7x", "ironwood": "tpu7x",
}  # fmt: skip


class Family(NamedTuple):
    """The slices of one kind of chip."""

    chip: str  # as fjdl.analysis.chips and topologies name it
    prefix: str  # of its types
    counted: int  # what the number of a type counts for each chip: 1 for chips, 2 for TensorCores
    topologies: tuple[str, ...]
    runtime: str | None  # software version of the Cloud TPU API; None where that API has no such chip
    machines: Mapping[int, str]  # machine types of Compute Engine by their chips; none where it has no such chip
    image: str | None
    gke: tuple[str, ...]  # topologies that xpk makes node pools of, hosts of one chip or of four


FAMILIES = (
    Family("v4", "v4", 2, (*CUBES, "8x8x12"), "tpu-ubuntu2204-base", {}, None, (*CUBES, "8x8x12")),
    Family("v5e", "v5litepod", 1, FLAT, "v2-alpha-tpuv5-lite", {}, None, FLAT[2:]),
    Family(
        "v5p", "v5p", 2, (*CUBES, "16x16x16", "16x16x24"), "v2-alpha-tpuv5", {4: "ct5p-hightpu-4t-tpu"}, AMD,
        (*CUBES, "16x16x16"),
    ),
    Family(
        "v6e", "v6e", 1, FLAT, "v2-alpha-tpuv6e",
        {1: "ct6e-standard-1t", 4: "ct6e-standard-4t", 8: "ct6e-standard-8t"}, AMD, FLAT,
    ),
    Family(
        "tpu7x", "tpu7x", 2, (*CUBES, "16x16x16"), None, {4: "tpu7x-standard-4t"},
        "ubuntu-accel-2404-amd64-tpu-tpu7x", CUBES,
    ),
)  # fmt: skip


class Slice(NamedTuple):
    """Chips that are connected with one another, as one control plane would hand them out."""

    family: Family
    topology: str  # such as 4x4
    hosts: int

    @property
    def chips(self) -> int:
        """The product of the topology's sides."""
        return chips_of(self.topology)

    @property
    def type(self) -> str:
        """Its name for the Cloud TPU API and for xpk, such as v5litepod-16."""
        return type_of(self.family, self.topology)

    @property
    def chips_per_host(self) -> int:
        """Those that one machine has."""
        return self.chips // self.hosts


def find(accelerator: str, plane: PlaneName) -> Slice:
    """The slice of a type such as v5litepod-16, or of a chip and a topology such as v5e:4x4.

    Raises `UsageError` with the nearest name for one that is not in the table, and for a chip or a size that the
    control plane does not have.
    """
    family, topology = _named(accelerator.strip().lower())
    _require_offered(family, topology, plane)
    return Slice(family, topology, chips_of(topology) // _chips_per_host(topology, plane))


def chips_of(topology: str) -> int:
    """The number of chips.

    >>> chips_of("4x4x8")
    128
    """
    return math.prod(map(int, topology.split("x")))


def type_of(family: Family, topology: str) -> str:
    """The name of a slice in the Cloud TPU API.

    >>> [type_of(family, family.topologies[0]) for family in FAMILIES]
    ['v4-8', 'v5litepod-1', 'v5p-8', 'v6e-1', 'tpu7x-8']
    """
    return f"{family.prefix}-{chips_of(topology) * family.counted}"


def _named(name: str) -> tuple[Family, str]:
    for family, topology in _all():
        if name in (type_of(family, topology), f"{family.chip}:{topology}"):
            return family, topology
    raise UsageError(
        f"accelerator must be a slice that Google Cloud offers, got {name!r}, did you mean {_nearest(name)}?"
    )


def _nearest(name: str) -> str:
    """The known name that is most like one that is not known: of the same chip, and of the nearest size."""
    prefix, separator, size = name.partition("-" if "-" in name else ":")
    known = {family.prefix: family for family in FAMILIES}
    close = difflib.get_close_matches(prefix, [*known, *OTHERS], 1, 0.5)
    family = known[OTHERS.get(close[0], close[0])] if close else known["v5litepod"]
    numbers = [int(side) for side in size.split("x") if side.isdigit()]
    asked = math.prod(numbers) * (family.counted if "x" in size else 1) if numbers else 0
    nearest = min(family.topologies, key=lambda topology: abs(chips_of(topology) * family.counted - asked))
    return f"{family.chip}:{nearest}" if separator == ":" else type_of(family, nearest)


def _require_offered(family: Family, topology: str, plane: PlaneName) -> None:
    """Raises `UsageError` where a control plane has no such slice, with one that has."""
    name = type_of(family, topology)
    if plane in ("tpu-vm", "queued") and family.runtime is None:
        raise UsageError(f"the Cloud TPU API has no {family.chip}: plane must be instance, group or gke, got {plane}")
    if plane in ("instance", "group") and not family.machines:
        raise UsageError(f"Compute Engine has no {family.chip}: plane must be queued, tpu-vm or gke, got {plane}")
    if plane == "instance" and chips_of(topology) not in family.machines:
        raise UsageError(f"{name} is no single machine of Compute Engine: plane must be group, got instance")
    if plane == "group" and chips_of(topology) < 8:
        raise UsageError(f"{name} is a single machine of Compute Engine: plane must be instance, got group")
    if plane == "gke" and topology not in family.gke:
        raise UsageError(f"xpk makes no node pool of {name}: the smallest is {type_of(family, family.gke[0])}")


def _chips_per_host(topology: str, plane: PlaneName) -> int:
    """Four, but in slices below four chips; the eight of 2x4 share one machine, except in a group and on GKE."""
    if topology == "2x4" and plane not in ("group", "gke"):
        return 8
    return min(chips_of(topology), 4)


def _all() -> Iterator[tuple[Family, str]]:
    for family in FAMILIES:
        for topology in family.topologies:
            yield family, topology
