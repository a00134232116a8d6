"""Products of a compiled program whose operands have another precision than was asked for."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from experiments.compiled.hlo import Body, Instruction, Module
from experiments.compiled.kinds import product_kind
from experiments.compiled.schedule import Executed

PRODUCTS = ("convolution", "dot")
NARROW = ("s4", "u4", "s8", "u8", "f8")  # operands of quantized products, which nobody asked to be wider
HALF = {"bfloat16": "bf16", "float16": "f16"}  # dtypes of operands in the precisions of half the bits
EXACT = {"float32": ("highest",), "tensorfloat32": ("high", "highest")}  # precisions of products of float32


class Deviation(NamedTuple):
    """Products of one kind whose operands are not as asked."""

    kind: str
    operands: str  # such as f32 x bf16
    precision: str  # the attribute operand_precision, such as highest; default where there is none
    number: int
    example: str  # the name of one in the source


def deviations(module: Module, lines: Iterable[Executed], precision: str) -> list[Deviation]:
    """Products whose operands are not of the half precision that was asked, or of which float32 ones are rounded to it.

    On a TPU a float32 product of default precision is one pass in bfloat16.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], str] = {}
    for line, times, computation, _ in lines:
        for product, body in _products(module, line, module.computations[computation]):
            operands, mode = _operands(product, body), _mode(product)
            if _as_asked(operands, mode, precision):
                continue
            key = (product_kind(product), " x ".join(operands), mode)
            found[key] += times
            examples.setdefault(key, product.op_name)
    return [Deviation(*key, count, examples[key]) for key, count in found.most_common()]


def _products(module: Module, line: Instruction, body: Body) -> Iterator[tuple[Instruction, Mapping[str, Instruction]]]:
    """The products inside an instruction, each with the computation that it stands in."""
    if line.opcode in PRODUCTS:
        yield line, body
    for name in line.called:
        inner = module.computations.get(name, {})
        for other in inner.values():
            yield from _products(module, other, inner)


def _operands(product: Instruction, body: Body) -> tuple[str, ...]:
    """The dtypes of the two operands."""
    lines = [body.get(name) for name in product.operands[:2]]
    return tuple(line.shapes[0].dtype if line is not None and line.shapes else "?" for line in lines)


def _mode(product: Instruction) -> str:
    found = product.attribute("operand_precision") or "default"
    return "+".join(sorted({word.strip() for word in found.strip("{}").split(",")}))


def _as_asked(operands: tuple[str, ...], mode: str, precision: str) -> bool:
    """Zeros and ones, which are pred, are exact in every precision."""
    if any(dtype.startswith(NARROW) for dtype in operands):
        return True
    dtypes = {*operands} - {"pred"}
    if precision in HALF:
        return dtypes <= {HALF[precision]}
    return dtypes <= {"f32"} and (not dtypes or mode in EXACT[precision])
