"""Which points a sweep tries, in which rounds, and for how many epochs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.sweeps.space import Space
from fjdl import search
from fjdl.errors import UsageError

SHRINK = 0.5  # a round's share of the window of the round before


class Point(NamedTuple):
    """Values of the arguments that are varied, and where in [0, 1) drawn ones come from."""

    values: dict[str, Any]
    shares: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep as rounds of trials, each of which may be halved."""

    space: Space
    trials: int | None  # of a round, None for a grid
    rounds: int
    seed: int  # of the draws
    factor: int | None  # of successive halving, None without it
    least: int  # epochs of its first rung

    def points(self, number: int, before: Sequence[tuple[Point, float]]) -> list[Point]:
        """The points of a round, given those of the rounds before with their values, which are to be small."""
        if self.trials is None:
            return [Point(values, {}) for values in search.grid(self.space.grid)]
        import jax

        key = jax.random.fold_in(jax.random.key(self.seed), number)
        shares = search.draw_shares(key, self.space.drawn, trials=self.trials)
        if before:
            best = min(before, key=lambda pair: pair[1])[0].shares
            shares = [search.narrowed(each, best=best, width=SHRINK**number) for each in shares]
        return [Point(search.point_at(self.space.drawn, each), each) for each in shares]

    def rungs(self, trials: int, epochs: int) -> tuple[search.Rung, ...]:
        """How many of a round's trials are trained up to which epoch."""
        if self.factor is None:
            return (search.Rung(trials, epochs),)
        return search.halving_rungs(trials, budget=epochs, factor=self.factor, least=self.least)

    def described(self) -> dict[str, Any]:
        """What decides the points, in types of JSON."""
        rounds = {"random": self.trials, "rounds": self.rounds, "halving": self.factor, "least": self.least}
        return {**self.space.described(), **rounds}


def read_plan(space: Space, options: Mapping[str, Any], *, seed: int) -> Plan:
    """The plan of the command's options; raises `UsageError` for those that do not go together."""
    trials, rounds = options["random"], options["coarse_to_fine"]
    factor, least = options["halving"], options["least"]
    if (trials is None) != bool(space.grid):
        raise UsageError(
            "--random says how many points are drawn and a grid has all of its own, got "
            f"{'a grid with --random' if space.grid else 'ranges without --random'}"
        )
    for name, value, lowest in (
        ("random", trials, 1), ("coarse-to-fine", rounds, 1), ("halving", factor, 2), ("least", least, 1),
    ):  # fmt: skip
        if value is not None and value < lowest:
            raise UsageError(f"--{name} must be at least {lowest}, got {value}")
    if least > 1 and factor is None:
        raise UsageError(
            f"--least says how long trials are trained before --halving gives them up, got {least} without it"
        )
    if rounds > 1 and trials is None:
        raise UsageError("--coarse-to-fine draws points in rounds and needs --random, got a grid")
    return Plan(space, trials, rounds, seed, factor, least)
