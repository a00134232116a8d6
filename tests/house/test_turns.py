"""`tests/running/turns.py`: which half of the parameter sets each pin runs by day."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.running.turns import halves, leave_to_others, reaches_torch

pytest_plugins = "pytester"
NAMES = [f"losses.loss_{index}" for index in range(40)]


def of_torch() -> Any:
    return torch.zeros(3)


def calls_it() -> Any:
    return [of_torch() for _ in range(2)]


def imports_it() -> Any:
    from torch.nn import functional

    return functional


def by_hand() -> int:
    return len(NAMES)


def item(name: str, dtype: str = "float32", oracle: Any = by_hand) -> Any:
    row = SimpleNamespace(name=name, oracle=oracle)
    callspec = SimpleNamespace(params={"row": row, "dtype": dtype}, id=f"{dtype}-{name}")
    return SimpleNamespace(nodeid=f"tests/x.py::test[{callspec.id}]", callspec=callspec, function=by_hand)


@pytest.mark.parametrize("function", [of_torch, calls_it, imports_it, partial(calls_it), torch.nn.functional.relu])
def test_a_function_reaches_torch_by_itself_by_another_and_by_an_import(function: Any) -> None:
    assert reaches_torch(function)


@pytest.mark.parametrize("value", [by_hand, partial(by_hand), len, "torch-like", None, 3])
def test_other_values_do_not(value: Any) -> None:
    assert not reaches_torch(value)


def test_each_set_is_in_one_half_the_same_for_all_dtypes_and_tests_of_a_row() -> None:
    sets = [item(name, dtype) for dtype in ("float32", "bfloat16") for name in NAMES]
    first, second = halves(sets)
    assert sorted(map(id, first + second)) == sorted(map(id, sets))
    assert len(first) == len(second) == 40
    both = {one.callspec.params["row"].name for one in first} & {one.callspec.params["row"].name for one in second}
    assert not both
    other = {one.callspec.params["row"].name for one in halves([item(name) for name in NAMES])[0]}
    assert other == {one.callspec.params["row"].name for one in first}


def test_what_needs_torch_is_of_the_first_pin() -> None:
    sets = [item(name, oracle=of_torch if index % 4 else by_hand) for index, name in enumerate(NAMES)]
    first, second = halves(sets)
    assert [one.callspec.params["row"].oracle for one in first] == [of_torch] * 30
    assert [one.callspec.params["row"].oracle for one in second] == [by_hand] * 10


def test_by_day_both_pins_together_run_everything_and_at_night_each_runs_the_rest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("value", range(5))
        def test_several(value): pass

        def test_one(): pass

        @pytest.mark.by_day_on_pin(1)
        @pytest.mark.parametrize("value", range(3))
        def test_dear(value): pass

        @pytest.mark.slow
        @pytest.mark.parametrize("value", range(5))
        def test_at_night(value): pass
        """
    )
    pytester.makeini("[pytest]\nmarkers =\n  slow\n  by_day_on_pin")
    found = []
    for pin in (0, 1):
        items, _ = pytester.inline_genitems()
        leave_to_others(items, pin)
        found.append({one.name for one in items if not one.get_closest_marker("slow")})
    (first, second), dear = found, {f"test_dear[{value}]" for value in range(3)}
    assert first & second == {"test_one"}
    assert first | second == {"test_one", *dear, *(f"test_several[{value}]" for value in range(5))}
    assert dear <= second
