"""How long chips of a slice, and slices of one another, take to exchange bytes: by published rates, on paper.

Rates: docs.cloud.google.com/tpu/docs/v5e (links of a chip, size of a pod, network of a host). Time of a hop, and the
form: Austin et al., "How to Scale Your Model" (2025), jax-ml.github.io/scaling-book, chapter on sharding.
"""

import math
from typing import NamedTuple

from fjdl.errors import UsageError

HOP = 1e-6  # seconds that a message takes to the next chip at least
ACROSS = 50e-6  # the same between slices, over the network of the data centre: an assumption, no page names a time


class Links(NamedTuple):
    """What connects the chips of one kind."""

    rate: float  # bytes per second of one link in one direction
    side: int  # of a whole pod, whose rows and columns are rings; shorter ones are lines
    host: float  # bytes per second between a chip and other slices: its share of its host's network


class Shape(NamedTuple):
    """Equal slices of so many chips."""

    slices: int
    sides: tuple[int, ...]

    @property
    def chips(self) -> int:
        """Of all slices."""
        return self.slices * math.prod(self.sides)


class Exchange(NamedTuple):
    """Seconds of one collective."""

    bytes: float  # what links take for its bytes
    hops: float  # what messages take on their way whatever their size
    across: float  # between slices, both

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(self)


LINKS = {"v5e": Links(rate=50e9, side=16, host=25e9 / 8)}  # 400 GB/s over 4 ports in both directions; 2 x 100 Gbit/s
SHAPES = {8: Shape(1, (2, 4)), 64: Shape(1, (8, 8)), 256: Shape(1, (16, 16)), 1024: Shape(4, (16, 16))}
ROUNDS = {"all-reduce": 2, "all-gather": 1, "reduce-scatter": 1}  # an all-reduce is a reduce-scatter and an all-gather


def links_of(chip: str) -> Links:
    """The links of a chip by its name; raises `UsageError` for one whose rates are not here."""
    if chip not in LINKS:
        raise UsageError(f"the rates of links are known for {', '.join(LINKS)}, got {chip}")
    return LINKS[chip]


def exchange(kind: str, size: float, shape: Shape, links: Links) -> Exchange:
    """The time of one collective whose result on each chip has `size` bytes.

    Within a slice of n chips a reduce-scatter or an all-gather moves (n - 1) / n of the bytes through each chip, along
    all axes at once: a ring sends both ways, a line one way. Its messages pass half of a ring, or all of a line. Of
    several slices, each chip exchanges the part that it holds then with its peers in the others, all at once.

    >>> pod = exchange("all-reduce", 100e6, Shape(1, (16, 16)), LINKS["v5e"])
    >>> round(1e3 * pod.bytes, 3), round(1e6 * pod.hops)  # ms: 2 x 255/256 x 100 MB at 200 GB/s; 2 x (8 + 8) hops
    (0.996, 32)
    """
    if kind not in ROUNDS:
        raise UsageError(f"kind must be one of {', '.join(ROUNDS)}, got {kind}")
    rounds, chips = ROUNDS[kind], math.prod(shape.sides)
    axes = [side for side in shape.sides if side > 1]
    rate = sum(links.rate * (2 if side >= links.side else 1) for side in axes)
    hops = sum(side // 2 if side >= links.side else side - 1 for side in axes)
    inside = rounds * (chips - 1) / chips * size / rate if axes else 0.0
    return Exchange(inside, rounds * hops * HOP, _across(rounds, size / chips, shape.slices, links))


def _across(rounds: int, size: float, slices: int, links: Links) -> float:
    """Between slices, each chip for the part of the bytes that it holds."""
    if slices == 1:
        return 0.0
    return rounds * ((slices - 1) / slices * size / links.host + ACROSS)
