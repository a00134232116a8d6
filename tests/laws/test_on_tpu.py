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

# Rows with a barrier on every platform, and the reason.
HELD: dict[str, str] = {
    "metrics.ranking": "XLA would fold sums of constant weights while it compiles, for seconds",
    "tests.cases.metrics_ranking": "so there",
    "tests.cases.metrics_label_ranking": "so there",
    "functional.pool.fixed.max_pool2d-dilated": "dilated windows have one form, because XLA has no gradient of them",
    "functional.pool.fixed.max_pool1d": "so has this row",
}


@every_case
def test_a_program_for_a_tpu_holds_nothing_that_is_written_for_another_platform(case: Case) -> None:
    """Neither calls of what only a CPU has, nor barriers against XLA:CPU, nor numbers of double precision."""
    text = program(case.name).trace(*build(case)).lower(lowering_platforms=("tpu",)).as_text()
    assert set(re.findall(r"custom_call @([\w.]+)", text)) <= KNOWN
    assert "optimization_barrier" not in text or case.name.startswith(tuple(HELD))
    assert not re.search(r"\bx?(f64|c128)\b|complex<f64>", text)
