"""The table of slices, beside what the pages of Google Cloud say, and the nearest name for a wrong one."""

import pytest

from experiments.launch.slices import FAMILIES, PlaneName, chips_of, find, type_of
from fjdl.analysis.chips import CHIPS
from fjdl.errors import UsageError


@pytest.mark.parametrize(
    ("name", "plane", "topology", "chips", "hosts"),
    [
        ("v5litepod-1", "tpu-vm", "1x1", 1, 1),
        ("v5litepod-4", "queued", "2x2", 4, 1),
        ("v5litepod-8", "queued", "2x4", 8, 1),
        ("v5litepod-8", "gke", "2x4", 8, 2),
        ("v5litepod-16", "queued", "4x4", 16, 4),
        ("v5litepod-256", "queued", "16x16", 256, 64),
        ("v5e:8x8", "queued", "8x8", 64, 16),
        ("v4-8", "tpu-vm", "2x2x1", 4, 1),
        ("v4-4096", "queued", "8x16x16", 2048, 512),
        ("v5p-8", "instance", "2x2x1", 4, 1),
        ("v5p-128", "queued", "4x4x4", 64, 16),
        ("v6e-8", "instance", "2x4", 8, 1),
        ("v6e-8", "group", "2x4", 8, 2),
        ("V6E-16", "group", "4x4", 16, 4),
        ("tpu7x-8", "gke", "2x2x1", 4, 1),
        ("tpu7x-128", "group", "4x4x4", 64, 16),
    ],
)
def test_chips_and_hosts(name: str, plane: PlaneName, topology: str, chips: int, hosts: int) -> None:
    found = find(name, plane)
    assert (found.topology, found.chips, found.hosts) == (topology, chips, hosts)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("v5litepod-12", "v5litepod-8"),
        ("v5litepod-300", "v5litepod-256"),
        ("v5e-16", "v5litepod-16"),
        ("v6-8", "v6e-8"),
        ("trillium-16", "v6e-16"),
        ("v5p-100", "v5p-128"),
        ("v5p:4x4", "v5p:2x2x4"),
        ("v5e:3x4", "v5e:2x4"),
        ("v3-8", "v4-8"),
        ("ironwood-8", "tpu7x-8"),
        ("h100-8", "v5litepod-8"),
        ("", "v5litepod-1"),
    ],
)
def test_another_name_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"accelerator must be .*, got '{name}', did you mean {near}\\?$"):
        find(name, "queued")


@pytest.mark.parametrize(
    ("name", "plane", "rule"),
    [
        ("tpu7x-8", "queued", "the Cloud TPU API has no tpu7x: plane must be instance, group or gke, got queued"),
        ("v5litepod-4", "instance", "Compute Engine has no v5e: plane must be queued, tpu-vm or gke, got instance"),
        ("v6e-16", "instance", "v6e-16 is no single machine of Compute Engine: plane must be group, got instance"),
        ("v6e-4", "group", "v6e-4 is a single machine of Compute Engine: plane must be instance, got group"),
        ("v5litepod-4", "gke", "xpk makes no node pool of v5litepod-4: the smallest is v5litepod-8"),
    ],
)
def test_what_a_control_plane_does_not_have(name: str, plane: PlaneName, rule: str) -> None:
    with pytest.raises(UsageError, match=f"^{rule}$"):
        find(name, plane)


def test_the_table_is_whole() -> None:
    known = {chip.name for chip in CHIPS}
    names = [type_of(family, topology) for family in FAMILIES for topology in family.topologies]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert family.chip in known
        assert set(family.gke) <= set(family.topologies)
        assert all(chips_of(topology) % 4 == 0 or chips_of(topology) == 1 for topology in family.topologies)
