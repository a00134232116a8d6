"""Every row of `tests/cases` lowered for a TPU, which needs none: what its program holds before it is compiled."""

import re

from tests.cases import Case
from tests.laws.test_laws import build, every_case, program

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


@every_case
def test_a_program_for_a_tpu_holds_nothing_that_is_written_for_another_platform(case: Case) -> None:
    """Neither calls of what only a CPU has, nor barriers against XLA:CPU, nor numbers of double precision."""
    text = program(case.name).trace(*build(case)).lower(lowering_platforms=("tpu",)).as_text()
    assert set(re.findall(r"custom_call @([\w.]+)", text)) <= KNOWN
    assert "optimization_barrier" not in text
    assert not re.search(r"\bx?(f64|c128)\b|complex<f64>", text)
