"""Which kind of work an instruction of a compiled program is, read off the name of its operation in the source."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from experiments.compiled.hlo import Instruction, Module
from experiments.compiled.schedule import Executed

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all", "collective-broadcast")
COPIES = ("copy", "copy-start", "copy-done", "transpose", "slice-start", "slice-done")

# The first pattern that is found in an operation's name says its kind. `fjdl.train` names the parts of a step, Flax the
# modules, JAX the operations. Products of the first kinds are theirs, others are convolutions or dots.
OWNERS = ("guard", "optimizer", "augmentation", "metrics", "input")
PATTERNS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("guard", r"\bguard\b|global_norm|\b_cause\b|is_?finite"),
        ("optimizer", r"\boptimizer\b|apply_updates"),
        ("augmentation", r"\baugment"),
        ("metrics", r"\bmetrics\b"),
        ("input", r"\binputs?\b|permutation|shuffle"),
        ("norm", r"[nN]orm|running_moments"),
        ("pool", r"[pP]ool|reduce_window|select_and_(?:scatter|gather)"),
        ("loss", r"\bloss\b|cross_entropy|softmax|logsumexp|one_hot"),
        ("convolution", r"conv_general_dilated|\bconv\w*2d\b"),
        ("dot", r"dot_general"),
        ("activation", r"jvp|transpose\(|\brelu\b|gelu|Dropout|dropout"),
    )
)


class Price(NamedTuple):
    """Estimated cycles and how many instructions they are of."""

    forward: int = 0
    backward: int = 0
    operations: int = 0

    @property
    def cycles(self) -> int:
        """Both directions together."""
        return self.forward + self.backward


def kind_of(module: Module, found: Executed) -> str:
    """The kind of what runs: that of the product inside it, or of the operation that it is named after.

    What has no name, such as a copy, is of the kind of the loop around it.
    """
    line = found.instruction
    if collective(line):
        return "collectives"
    if product := _product(module, line):
        return product_kind(product)
    name = name_of(module, found)
    if kind := next((kind for kind, pattern in PATTERNS if pattern.search(name)), None):
        return kind
    return "copies" if line.opcode in COPIES or not name else "other"


def product_kind(line: Instruction) -> str:
    """The kind of a product; programs for TPUs call a dot a convolution too, its name does not."""
    owner = next((kind for kind, pattern in PATTERNS if kind in OWNERS and pattern.search(line.op_name)), None)
    return owner or ("dot" if "dot_general" in line.op_name else "convolution")


def backward(module: Module, found: Executed) -> bool:
    """Whether what runs belongs to the backward pass."""
    product = _product(module, found.instruction)
    return "transpose(" in (product.op_name if product else name_of(module, found))


def name_of(module: Module, found: Executed) -> str:
    """The name of its operation, or of the last inside of it that has one, or of the loop around it."""
    line = found.instruction
    return line.op_name or next((x.op_name for x in reversed([*module.inner(line)]) if x.op_name), found.within)


def _product(module: Module, line: Instruction) -> Instruction | None:
    return next((x for x in [line, *module.inner(line)] if x.opcode in ("convolution", "dot")), None)


def collective(line: Instruction) -> str | None:
    """The kind of a collective operation, without -start and -done; None for anything else."""
    return next((kind for kind in COLLECTIVES if line.opcode in (kind, f"{kind}-start", f"{kind}-done")), None)


def prices(module: Module, lines: Iterable[Executed]) -> dict[str, Price]:
    """The cycles of each kind, the largest first."""
    prices: defaultdict[str, Price] = defaultdict(Price)
    for found in lines:
        if found.instruction.cycles is None:
            continue
        cycles, kind = found.times * found.instruction.cycles, kind_of(module, found)
        forward, behind = (0, cycles) if backward(module, found) else (cycles, 0)
        old = prices[kind]
        prices[kind] = Price(old.forward + forward, old.backward + behind, old.operations + found.times)
    return dict(sorted(prices.items(), key=lambda item: -item[1].cycles))


def total(found: Mapping[str, Price]) -> Price:
    """All kinds together."""
    return Price(*(sum(column) for column in zip(*found.values(), strict=True))) if found else Price()
