"""The text of a program as data: shapes with tiles, instructions, computations."""

import pytest

from experiments.compiled.hlo import parse, shapes_of
from tests.experiments.compiled.program import PROGRAM

MODULE = parse(PROGRAM)


@pytest.mark.parametrize(
    ("text", "size", "padded"),
    [
        ("f32[3,5]{1,0:T(8,128)}", 60, 8 * 128 * 4),
        ("bf16[64,8,8,16]{3,0,2,1:T(8,128)(2,1)}", 2 * 65_536, 2 * 64 * 8 * 8 * 128),  # 64 x 16 become 64 x 128
        ("bf16[64,8,8,16]{0,3,2,1:T(8,128)(2,1)}", 2 * 65_536, 2 * 16 * 128 * 64),  # 16 x 64 become 16 x 128
        ("u8[50000,32,32,3]{2,1,3,0:T(8,128)(4,1)}", 153_600_000, 614_400_000),  # 32 columns become 128 lanes
        ("u8[50000,3072]{1,0:T(8,128)(4,1)}", 153_600_000, 153_600_000),
        ("f32[1000]{0:T(1024)}", 4000, 4096),
        ("s32[]{:T(128)}", 4, 512),
        ("pred[4]{0:T(512)(128)(4,1)}", 4, 512),
        ("s4[6,2]{1,0}", 6, 6),
        ("f8e4m3fn[10]{0}", 10, 10),
        ("f32[2,3]", 24, 24),
    ],
)
def test_bytes_of_a_shape_without_and_with_its_tiles(text: str, size: int, padded: int) -> None:
    (shape,) = shapes_of(text)
    assert (shape.bytes, shape.padded) == (size, padded)


def test_a_tuple_has_the_shapes_of_its_parts_and_their_memory() -> None:
    large, small = shapes_of("(f32[2,3]{1,0:T(8,128)}, u8[]{:T(512)S(1)})")
    assert (str(large), large.order, large.tiles, large.space) == ("f32[2,3]", (1, 0), ((8, 128),), 0)
    assert (small.dims, small.space) == ((), 1)


def test_computations_and_their_lines() -> None:
    assert MODULE.entry == "main"
    assert len(MODULE.computations) == 9
    line = MODULE.computations["step"]["forward"]
    assert (line.opcode, line.operands, line.called) == ("fusion", ("images", "kernel"), ("fused_forward",))
    assert (line.cycles, line.op_name) == (1000, "jit(_epoch)/while/body/jvp(Net)/norm/sub")
    assert MODULE.computations["step"]["scratch"].attribute("custom_call_target") == "AllocateBuffer"
    assert MODULE.computations["step"]["t"].cycles is None
    assert len(MODULE.computations["step"]["t"].shapes) == 4
    assert MODULE.computations["step"]["result"].root


def test_what_a_fusion_is_made_of() -> None:
    line = MODULE.computations["step"]["forward"]
    assert [x.opcode for x in MODULE.inner(line)] == ["parameter", "parameter", "convert", "convolution", "convert"]


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("(f32[8]{0:T(128)S(1)}, f32[8]{0:T(128)}, u32[]{:S(2)}) copy-start(%a)", ["f32[8]"]),
        ("((bf16[64,28]{1,0}), bf16[64,7]{1,0:S(1)}, s32[]{:S(2)}) slice-start(%a), slice={[0:64]}", ["bf16[64,7]"]),
        ("(f32[4]{0}, f32[16]{0}) all-gather-start(%a), dimensions={0}", ["f32[16]"]),
        ("(f32[4]{0}, bf16[16]{0}) all-reduce-start(%a, %a), to_apply=%add", ["f32[4]", "bf16[16]"]),
        ("f32[] add(%a, %a)", ["f32[]"]),
    ],
)
def test_what_an_instruction_makes(line: str, made: list[str]) -> None:
    module = parse(f"ENTRY %main (a: f32[8]) -> f32[8] {{\n  %it = {line}\n}}\n")
    assert [str(shape) for shape in module.computations["main"]["it"].made] == made


def test_a_text_without_an_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="must have an ENTRY, got none"):
        parse("%add (x: f32[]) -> f32[] {\n  ROOT %x = f32[] parameter(0)\n}\n")
