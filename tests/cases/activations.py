"""Rows of their part."""

from tests.cases.case import Case

CASES: list[Case] = []
