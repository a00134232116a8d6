"""The forms of a network whose programs for a TPU are compared."""

import jax
import jax.numpy as jnp
import pytest

from experiments.pages.markdown import require_markers
from experiments.quantizations.on_tpu import SECTION, forms
from fjdl.quant import Quantized
from tests.support import ROOT


def test_the_first_form_is_in_bfloat16_and_the_page_has_a_place_for_all() -> None:
    name, (_, params, _, images) = next(forms(2))
    assert name == "bfloat16"
    assert images.shape == (2, 224, 224, 3)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, images))} == {jnp.dtype(jnp.bfloat16)}
    require_markers(ROOT / "docs/quantization.md", section=SECTION)


@pytest.mark.slow
def test_kernels_of_integers_and_outputs_that_are_carried_have_grids() -> None:
    *_, plain, carried = forms(1)
    kernels = [
        leaf
        for leaf in jax.tree.leaves(carried[1][1], is_leaf=lambda x: isinstance(x, Quantized))
        if isinstance(leaf, Quantized)
    ]
    assert len(kernels) == 54
    assert {kernel.values.dtype for kernel in kernels} == {jnp.dtype(jnp.int8)}
    names = carried[1][2]["grids"].keys() - plain[1][2]["grids"].keys()
    assert len(names) == 2 + 16 + 4  # the stem and its convolution, blocks, shortcuts that have weights
    assert "stage4/block0/shortcut outputs" in names
