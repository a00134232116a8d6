"""How fast a step can be at best, by the peak rates of a chip."""

from typing import NamedTuple

from fjdl.analysis import Chip


class Bounds(NamedTuple):
    """Lower bounds of the seconds of a step on one device, and what they say of steps and arithmetic rate."""

    arithmetic: float  # seconds: operations at the chip's peak
    traffic: float  # seconds: bytes at the bandwidth of its memory
    priced: float | None  # seconds: estimated cycles at its clock
    intensity: float  # operations for each byte
    steps: float  # a second at most, by the first two
    mfu: float  # the share of the peak that the model's own operations then are, in [0, 1]
    priced_mfu: float | None  # the same by the third

    @property
    def limit(self) -> str:
        """Which of the first two is longer."""
        return "arithmetic" if self.arithmetic >= self.traffic else "memory traffic"


def bounds(*, flops: float, traffic: float, cycles: int, model_flops: float, chip: Chip) -> Bounds:
    """The bounds of one device's share of a step.

    `flops` and `traffic`, in bytes, are what the compiled program does; `model_flops` is what the model needs, which
    the utilization counts.
    """
    arithmetic, moved = flops / chip.device_flops, traffic / chip.device_bandwidth
    priced = cycles / chip.clock if chip.clock and cycles else None
    seconds = max(arithmetic, moved, 1e-12)

    def utilization(time: float) -> float:
        return model_flops / time / chip.device_flops

    return Bounds(
        arithmetic,
        moved,
        priced,
        flops / max(traffic, 1.0),
        1 / seconds,
        utilization(seconds),
        utilization(priced) if priced else None,
    )
