"""Every row of `tests/cases` lowered for a TPU, which needs none: what its program holds before it is compiled.

Products of layers round their factors as the caller asks, all others never do.
"""

import re
from contextlib import nullcontext
from typing import Any

import jax
import pytest

from tests.cases import CASES, Case
from tests.laws.rows import BRANCHES, OURS, build, cases, holds, program, transformed
from tests.products import products_of

# Operations of StableHLO that have no name of their own there, and that XLA:TPU knows or expands.
KNOWN = {
    "Sharding",
    "mhlo.topk",
    "ApproxTopK",
    "Eigh",
    "Qr",
    "LuDecomposition",
    "ProductOfElementaryHouseholderReflectors",
}

# Rows with a barrier on every platform, and the reason.
HELD: dict[str, str] = {
    "metrics.ranking": "XLA would fold sums of constant weights while it compiles, for seconds",
    "tests.cases.metrics_ranking": "so there",
    "tests.cases.metrics_label_ranking": "so there",
    "functional.pool.fixed.max_pool2d-dilated": "dilated windows have one form, because XLA has no gradient of them",
    "functional.pool.fixed.max_pool1d": "so has this row",
}

ASKED = (
    "functional.",
    "autodiff.",
    "tests.cases.attention.",
    "tests.cases.norm.",
    "tests.cases.quant.weight_only",
    "tests.cases.recurrent.",
    "losses.adaptive.",
)  # layers, and textbook derivations of them
STATED = ("functional.whitening.", "functional.resize.", "functional.similarity.")
WIDE = ("f32", "f64", "f32>", "f64>")  # factors that may be rounded, complex ones too


def asks(case: Case) -> bool:
    """Whether the caller says how exactly the row multiplies."""
    return case.name.startswith(ASKED) and not case.name.startswith(STATED)


def lowered(case: Case) -> Any:
    """The row's value and gradients, asked to multiply exactly where it lets the caller choose."""
    with jax.default_matmul_precision("highest") if asks(case) else nullcontext():
        return program(case.name).trace(*build(case)).lower(lowering_platforms=("tpu",))


# What is lowered to more than operations of its own name; by day the rows that hold some are looked at.
EXPANDED = (
    *OURS, *BRANCHES, "dot_general", "conv_general_dilated", "optimization_barrier", "custom_",
    "top_k", "approx_top_k", "eigh", "svd", "qr", "lu", "householder", "cholesky", "triangular_solve",
)  # fmt: skip


@transformed(*CASES)
def test_a_program_for_a_tpu_holds_nothing_for_another_platform_and_rounds_no_factor_unasked(case: Case) -> None:
    if holds(case, EXPANDED):
        is_made_for_a_tpu(case)


@pytest.mark.slow
@cases(*CASES)
def test_all_programs_for_a_tpu_hold_nothing_for_another_platform_and_round_no_factor_unasked(case: Case) -> None:
    is_made_for_a_tpu(case)


def is_made_for_a_tpu(case: Case) -> None:
    """It holds no call of what only a CPU has, no barrier against XLA:CPU, and no number of double precision."""
    text = lowered(case).as_text()
    assert set(re.findall(r"custom_call @([\w.]+)", text)) <= KNOWN
    assert "optimization_barrier" not in text or case.name.startswith(tuple(HELD))
    assert not re.search(r"\bx?(f64|c128)\b|complex<f64>", text)
    wide = [product for product in products_of(text) if any(factor.endswith(WIDE) for factor in product.factors)]
    assert {product.precision for product in wide} <= {"HIGHEST"}
