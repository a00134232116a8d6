"""Slices of TPUs that programs are compiled for, by name; nothing here needs a TPU."""

import difflib
import importlib.metadata
import importlib.util
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from fjdl.errors import FjdlError, UsageError

if TYPE_CHECKING:  # the command imports this file, and no JAX
    from fjdl.analysis import Chip

EXAMPLES = {
    "v4": ("2x2x1", "2x2x2", "2x2x4"),
    "v5e": ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8"),
    "v5p": ("2x2x1", "2x2x2", "2x2x4"),
    "v6e": ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8"),
    "tpu7x": ("2x2x1", "2x2x2", "2x2x4"),
}  # names that Cloud TPU offers; larger slices have names of the same form
OTHER_NAMES = {
    "v7": "tpu7x", "v7x": "tpu7x", "7x": "tpu7x", "ironwood": "tpu7x", "trillium": "v6e", "v5litepod": "v5e",
    "v5lite": "v5e", "v6lite": "v6e", "v5": "v5p",
}  # fmt: skip


class CompilerError(FjdlError):
    """The TPU compiler refused a program that is not too large, or ended without a word."""


class Slice(NamedTuple):
    """The devices of a slice as JAX would see them."""

    name: str
    devices: list[Any]
    hosts: int
    chip: "Chip"

    @property
    def text(self) -> str:
        """How many devices, chips and hosts it has."""
        count = len(self.devices)
        shared = f" on {count // self.chip.devices} chips" if self.chip.devices > 1 else ""
        return f"{self.name}: {_many(count, 'device')}{shared}, {_many(self.hosts, 'host')}"


def require_name(topology: str) -> str:
    """The name, checked; raises `UsageError` with the known ones for another.

    >>> require_name("v5e:2x2")
    'v5e:2x2'
    """
    version, _, shape = topology.strip().lower().partition(":")
    if version not in EXAMPLES:
        guess = OTHER_NAMES.get(version) or next(iter(difflib.get_close_matches(version, EXAMPLES, 1, 0.7)), None)
        hint = f", did you mean {guess}:{shape or EXAMPLES[guess][0]}" if guess else ""
        raise UsageError(f"topology must be one such as {_examples()}, got {topology!r}{hint}")
    axes = len(EXAMPLES[version][0].split("x"))
    if not re.fullmatch(rf"[1-9]\d*(x[1-9]\d*){{{axes - 1}}}", shape):
        known = ", ".join(f"{version}:{shape}" for shape in EXAMPLES[version])
        raise UsageError(f"the topology of a {version} slice must have {axes} sides, as {known}, got {topology!r}")
    return f"{version}:{shape}"


def require_compiler() -> str:
    """The version of libtpu; raises `UsageError` where it is not installed."""
    if importlib.util.find_spec("libtpu") is None:
        raise UsageError(
            "the TPU compiler is not installed: pip install 'fjdl[tpu]' brings libtpu, which compiles without a TPU too"
        )
    return importlib.metadata.version("libtpu")


def find_slice(topology: str) -> Slice:
    """The devices of a topology, as the compiler knows them; raises `UsageError` for one that it does not have."""
    from jax.experimental import topologies

    from fjdl.analysis import chip_of

    name = require_name(topology)
    require_compiler()
    try:
        description = topologies.get_topology_desc(platform="tpu", topology_name=name, **_options(name))
    except Exception as error:
        raise UsageError(f"the compiler has no slice {name} ({_short(error)}); known ones: {_examples()}") from error
    devices = list(description.devices)
    chip = chip_of(devices[0].device_kind)
    if chip is None:
        raise UsageError(f"the chip {devices[0].device_kind!r} of {name} must be one that fjdl.analysis knows")
    return Slice(name, devices, len({device.process_index for device in devices}), chip)


def _options(name: str) -> dict[str, Any]:
    """What makes the compiler's slice the one that Cloud TPU offers.

    A host of a slice below four chips has those alone, and one of v5e:2x4 or v6e:2x4 all eight. The two cores of a v4
    are one device, as Cloud TPU's are.
    """
    version, _, shape = name.partition(":")
    sides = [int(side) for side in shape.split("x")]
    chips = [*sides, *[1] * (3 - len(sides))]
    whole = math.prod(sides) < 4 or name in ("v5e:2x4", "v6e:2x4")
    cores = {"chip_config_name": "megacore"} if version == "v4" else {}
    return {**cores, **({"chips_per_host_bounds": chips} if whole else {})}


def _examples() -> str:
    return ", ".join(f"{version}:{shape}" for version, shapes in EXAMPLES.items() for shape in shapes[:4])


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"
