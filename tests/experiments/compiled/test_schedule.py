"""How often a program runs what, and what that costs: sums worked out by hand in `program`."""

import pytest

from experiments.compiled.collectives import Collective, collectives, unpriced
from experiments.compiled.hlo import parse
from experiments.compiled.kinds import Price, prices, total
from experiments.compiled.memory import Wide, held_data, wide_arrays
from experiments.compiled.products import deviations
from experiments.compiled.schedule import cycles, executed, loops, step_of, trips
from tests.experiments.compiled.program import PROGRAM

MODULE = parse(PROGRAM)
STEP = step_of(MODULE, 3)
LINES = list(executed(MODULE, STEP.computation))


def loop_with(condition: str, attributes: str = "") -> int | None:
    """The rounds of a loop whose counter starts at 2, with this comparison as its condition."""
    text = f"""
%body (b: (s32[])) -> (s32[]) {{
  ROOT %b = (s32[]) parameter(0)
}}

%condition (c: (s32[])) -> pred[] {{
  %c = (s32[]) parameter(0)
  %n = s32[] get-tuple-element(%c), index=0
  %ten = s32[] constant(10)
  {condition}
}}

ENTRY %main (a: s32[]) -> (s32[]) {{
  %two = s32[] constant(2)
  %start = (s32[]) tuple(%two)
  ROOT %loop = (s32[]) while(%start), condition=%condition, body=%body{attributes}
}}
"""
    module = parse(text)
    return trips(module, "main", module.computations["main"]["loop"])


@pytest.mark.parametrize(
    ("condition", "rounds"),
    [
        ("ROOT %r = pred[] compare(%n, %ten), direction=LT", 8),
        ("ROOT %r = pred[] compare(%n, %ten), direction=LE", 9),
        ("ROOT %r = pred[] compare(%ten, %n), direction=LT", None),  # no bound: the counter is on the other side
        ("ROOT %r = pred[] compare(%n, %n), direction=LT", None),
        ("ROOT %r = pred[] and(%n, %ten)", None),
    ],
)
def test_the_rounds_of_a_loop_follow_from_its_condition(condition: str, rounds: int | None) -> None:
    assert loop_with(condition) == rounds


def test_rounds_that_the_compiler_wrote_down_come_first() -> None:
    known = ', backend_config={"known_trip_count":{"n":"5"}}'
    assert loop_with("ROOT %r = pred[] compare(%n, %ten), direction=LT", known) == 5


def test_the_step_is_the_body_of_the_loop_over_steps() -> None:
    assert (STEP.computation, STEP.trips, STEP.looped) == ("step", 3, True)
    assert step_of(MODULE, 1).computation == "main"
    assert step_of(MODULE, 17) == step_of(MODULE, 1)
    assert [(loop.trips, loop.times) for loop in loops(MODULE, "main")] == [(3, 1), (4, 3)]


def test_cycles_count_inner_loops_as_often_as_they_run() -> None:
    step = 1000 + 2000 + 50 + 300 + 7 + 4 * 10
    assert cycles(MODULE, "step") == step
    assert cycles(MODULE, "main") == 5 + 11 + 3 * step


def test_cycles_by_kind() -> None:
    found = prices(MODULE, LINES)
    assert found == {
        "convolution": Price(1000, 2000, 2),
        "optimizer": Price(300, 0, 1),
        "norm": Price(50, 0, 1),
        "augmentation": Price(40, 0, 4),
        "copies": Price(7, 0, 1),
    }
    assert next(iter(found)) == "convolution"
    assert total(found) == Price(1397, 2000, 9)
    assert total({}) == Price()


def test_collectives_by_size_dtype_and_overlap() -> None:
    gathered, reduced = 64 * 16 * 4, 3 * 3 * 16 * 16 * 4
    assert collectives(MODULE, LINES) == [
        Collective("all-reduce", "f32", asynchronous=False, overlapped=0, number=1, bytes=reduced),
        Collective("all-gather", "f32", asynchronous=True, overlapped=1, number=1, bytes=gathered),
    ]


def test_what_has_no_price_is_listed() -> None:
    found = {row.opcode: (row.kind, row.number, row.bytes) for row in unpriced(MODULE, LINES)}
    assert found["select-and-scatter"] == ("pool", 1, 64 * 8 * 8 * 16 * 4)
    assert found["sort"] == ("input", 1, 2 * 1024 * 4)
    assert "dynamic-update-slice" not in found
    assert found["custom-call AllocateBuffer"][1:] == (1, 512)
    assert found["all-reduce"][0] == "collectives"
    assert "add" not in found  # of single numbers


def test_products_that_are_not_as_asked() -> None:
    muon, wide = deviations(MODULE, LINES, "bfloat16")
    assert (wide.kind, wide.operands, wide.precision, wide.number) == ("convolution", "f32 x bf16", "default", 1)
    assert (muon.kind, muon.operands, muon.precision) == ("optimizer", "f32 x f32", "highest")
    exact = deviations(MODULE, LINES, "float32")
    assert {(row.operands, row.precision) for row in exact} == {("bf16 x bf16", "default"), ("f32 x bf16", "default")}
    assert deviations(MODULE, LINES, "tensorfloat32") == exact  # one that is more exact is as asked


@pytest.mark.parametrize(
    ("operands", "mode", "asked", "fine"),
    [
        (("bf16", "bf16"), "", "bfloat16", True),
        (("bf16", "pred"), "", "bfloat16", True),  # a choice by zeros and ones
        (("f32", "pred"), "", "bfloat16", False),
        (("s8", "s8"), "", "bfloat16", True),  # a quantized product
        (("f32", "f32"), ", operand_precision={highest,highest}", "float32", True),
        (("f32", "f32"), "", "float32", False),  # one pass in bfloat16
        (("f32", "f32"), ", operand_precision={highest,default}", "float32", False),
        (("bf16", "f32"), ", operand_precision={highest,highest}", "float32", False),
        (("f32", "f32"), ", operand_precision={high,high}", "tensorfloat32", True),
    ],
)
def test_which_products_are_as_asked(operands: tuple[str, str], mode: str, asked: str, fine: bool) -> None:
    first, second = operands
    module = parse(
        f"ENTRY %main (a: {first}[8,8]) -> f32[8,8] {{\n  %a = {first}[8,8] parameter(0)\n"
        f"  %b = {second}[8,8] parameter(1)\n  %c = f32[8,8] dot(%a, %b), lhs_contracting_dims={{1}}{mode}\n}}\n"
    )
    assert bool(deviations(module, executed(module, "main"), asked)) != fine


def test_resident_data_and_their_copies() -> None:
    data, copy = held_data(MODULE, [("u8", 1000 * 32 * 32 * 3), ("s32", 1000)])
    assert (data.shape, data.copy, data.bytes, data.padded) == ("u8[1000,32,32,3]", False, 3_072_000, 3_145_728)
    assert (copy.copy, copy.padded) == (True, 4 * 3_072_000)  # 32 columns in 128 lanes


def test_large_float32_arrays_by_what_makes_them() -> None:
    pixels = 64 * 8 * 8 * 128 * 4  # 16 channels in 128 lanes
    assert wide_arrays(MODULE, LINES, above=2**17) == [
        Wide("convolution", 1, pixels),
        Wide("copies", 1, pixels),  # a conversion without a name
        Wide("pool", 1, pixels),
    ]
    assert wide_arrays(MODULE, LINES) == []
