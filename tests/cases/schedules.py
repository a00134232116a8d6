"""Rows of fjdl.schedules."""

from fjdl import schedules
from tests.cases.case import Case, inputs, labels

CASES: list[Case] = [
    Case(schedules.constant(0.1), inputs(labels(classes=200)), result=None, vmappable=False),
    Case(schedules.cosine(peak=0.1, steps=100), inputs(labels(classes=200)), result=None),
    Case(schedules.linear(peak=0.1, steps=100), inputs(labels(classes=200)), result=None),
    Case(schedules.exponential(peak=0.1, rate=0.01), inputs(labels(classes=200)), result=None),
    Case(schedules.inverse_time(peak=0.1, rate=0.01), inputs(labels(classes=200)), result=None),
    Case(schedules.inverse_sqrt(peak=0.1), inputs(labels(classes=200)), result=None),
    Case(schedules.warmup(schedules.constant(0.1), steps=100), inputs(labels(classes=200)), result=None),
    Case(
        schedules.warmup_cosine(peak=0.1, warmup_steps=50, steps=100),
        inputs(labels(classes=200)),
        result=None,
        label="cosine",
    ),
]
