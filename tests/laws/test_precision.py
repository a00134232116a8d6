"""Products in the programs for a TPU: those of layers round their factors as the caller asks, all others never do.

Rows are lowered for a TPU, which needs none here, and read.
"""

import jax

from tests.cases import CASES, Case
from tests.laws.test_laws import cases
from tests.laws.test_sharded import arrays_of, result_and_gradients
from tests.products import products_of

ASKED = (
    "functional.",
    "autodiff.",
    "tests.cases.norm.",
    "tests.cases.recurrent.",
    "losses.adaptive.",
)  # layers, and textbook derivations of them
STATED = ("functional.whitening.", "functional.resize.", "functional.similarity.")
WIDE = ("f32", "f64", "f32>", "f64>")  # factors that may be rounded, complex ones too
MULTIPLY = ("dot_general[", "conv_general_dilated[", "fjdl_matmul", "fjdl_conv2d")  # in a jaxpr


def asks(case: Case) -> bool:
    """Whether the caller says how exactly the row multiplies."""
    return case.name.startswith(ASKED) and not case.name.startswith(STATED)


def roundings(case: Case) -> set[str]:
    """The precisions of the products of float32 or wider in the row's value and gradients."""
    traced = jax.jit(lambda *arrays: result_and_gradients(case, arrays)).trace(*arrays_of(case))
    if not any(name in str(traced.jaxpr) for name in MULTIPLY):
        return set()
    found = products_of(traced.lower(lowering_platforms=("tpu",)))
    return {product.precision for product in found if any(factor.endswith(WIDE) for factor in product.factors)}


@cases(*filter(asks, CASES))
def test_every_product_of_a_layer_is_as_precise_as_the_caller_asks(case: Case) -> None:
    with jax.default_matmul_precision("highest"):
        assert roundings(case) <= {"HIGHEST"}


@cases(*[case for case in CASES if not asks(case)])
def test_no_other_product_rounds_its_factors(case: Case) -> None:
    assert roundings(case) <= {"HIGHEST"}
