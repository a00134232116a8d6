"""Rows of fjdl.schedules; the values are compared in tests/schedules, in float32 whatever the precision."""

from typing import Any

from fjdl import schedules
from fjdl.schedules import Schedule
from tests.cases.case import Case, inputs, labels


def row(schedule: Schedule, **options: Any) -> Case:
    """A schedule at a step below 200; no float goes in."""
    return Case(schedule, inputs(labels(classes=200)), result=None, **options)


CASES: list[Case] = [
    row(schedules.constant(0.1), vmappable=False),
    row(schedules.step_decay(peak=0.1, every=30, factor=0.5)),
    row(schedules.piecewise_constant(values=[0.1, 0.03, 0.01], boundaries=[50, 100])),
    row(schedules.cosine(peak=0.1, steps=100)),
    row(schedules.linear(peak=0.1, steps=100)),
    row(schedules.polynomial(peak=0.1, steps=100, power=2)),
    row(schedules.exponential(peak=0.1, rate=0.01)),
    row(schedules.geometric(start=0.1, factor=0.5, every=30, begin=10, final=0.02)),
    row(schedules.inverse_time(peak=0.1, rate=0.01)),
    row(schedules.inverse_sqrt(peak=0.1)),
    row(schedules.cosine_restarts(peak=0.1, steps=60, multiplier=2)),
    row(schedules.cyclic(low=0.0, high=0.1, rise=40)),
    row(schedules.one_cycle(peak=0.1, steps=150), label="rate"),
    row(schedules.one_cycle_momentum(steps=150), label="momentum"),
    row(schedules.join([schedules.constant(0.1), schedules.linear(peak=0.1, steps=60)], boundaries=[100])),
    row(schedules.warmup(schedules.constant(0.1), steps=100), label="warmup"),
    row(schedules.warmup_cosine(peak=0.1, warmup_steps=50, steps=100), label="cosine"),
    row(schedules.warmup_inverse_sqrt(peak=0.1, warmup_steps=50)),
]
