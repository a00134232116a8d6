from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.quant import (
    Quantized,
    absmax_quantize,
    dequantize_tree,
    is_quantized,
    quantize_tree,
    size_in_bytes,
    store_tree,
    zeropoint_quantize,
)
from fjdl.tree import digest


def parameters() -> dict:
    rng = np.random.default_rng(0)
    kernel = jnp.asarray(rng.standard_normal((30, 10)), jnp.float32)
    return {"dense": {"kernel": kernel, "bias": jnp.arange(10.0)}, "step": jnp.asarray(3)}


per_channel = partial(absmax_quantize, axis=-1)


def test_only_kernels_are_quantized_by_default() -> None:
    params = parameters()
    tree = quantize_tree(params, quantize=per_channel)
    assert isinstance(tree["dense"]["kernel"], Quantized)
    assert [is_quantized(leaf) for leaf in jax.tree.leaves(tree, is_leaf=is_quantized)] == [False, True, False]
    assert tree["dense"]["kernel"].scale.shape == (1, 10)
    assert tree["dense"]["bias"] is params["dense"]["bias"]
    assert tree["step"] is params["step"]


def test_dequantizing_gives_the_tree_back_within_half_a_step() -> None:
    params = parameters()
    restored = dequantize_tree(quantize_tree(params, quantize=per_channel))
    assert jax.tree.structure(restored) == jax.tree.structure(params)
    assert [leaf.dtype for leaf in jax.tree.leaves(restored)] == [leaf.dtype for leaf in jax.tree.leaves(params)]
    kernel = np.asarray(params["dense"]["kernel"])
    error = np.abs(np.asarray(restored["dense"]["kernel"]) - kernel)
    assert np.all(error <= np.max(np.abs(kernel), axis=0) / 254 * (1 + 1e-5))
    assert np.max(error) > 0
    np.testing.assert_array_equal(restored["dense"]["bias"], params["dense"]["bias"])


def test_the_dtype_of_dequantized_leaves_can_be_chosen_and_others_keep_theirs() -> None:
    restored = dequantize_tree(quantize_tree(parameters(), quantize=absmax_quantize), dtype=jnp.bfloat16)
    assert restored["dense"]["kernel"].dtype == jnp.bfloat16
    assert restored["dense"]["bias"].dtype == jnp.float32


def test_the_first_matching_rule_decides() -> None:
    params = {"head": {"kernel": jnp.ones((2, 2))}, "body": {"kernel": jnp.ones((2, 2))}}
    tree = quantize_tree(params, quantize=absmax_quantize, rules=[("head/.*", False), (".*", True)])
    assert isinstance(tree["body"]["kernel"], Quantized)
    assert not isinstance(tree["head"]["kernel"], Quantized)


def test_leaves_that_no_rule_covers_are_named() -> None:
    with pytest.raises(ValueError, match=r"none matches \['dense/bias', 'step'\]"):
        quantize_tree(parameters(), quantize=absmax_quantize, rules=[(".*kernel", True)])


def test_size_counts_integers_scales_and_zero_points() -> None:
    params = parameters()
    assert size_in_bytes(params) == 4 * 300 + 4 * 10 + 4
    assert size_in_bytes(quantize_tree(params, quantize=per_channel)) == 300 + 4 * 10 + 4 * 10 + 4
    affine = quantize_tree(params, quantize=zeropoint_quantize)
    assert size_in_bytes(affine) == 300 + 4 + 4 + 4 * 10 + 4


@pytest.mark.parametrize(("bits", "row"), [(7, 10), (6, 8), (5, 7), (4, 5), (3, 5), (2, 3)])
def test_size_counts_the_bytes_of_packed_integers(bits: int, row: int) -> None:
    small = quantize_tree(parameters(), quantize=partial(absmax_quantize, bits=bits))
    assert size_in_bytes(small) == 30 * row + 4 + 4 * 10 + 4
    assert size_in_bytes(small) == sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(small))
    assert size_in_bytes(store_tree(small, form="bytes")) == 300 + 4 + 4 * 10 + 4


def test_a_rule_may_quantize_in_its_own_way() -> None:
    params = {name: {"kernel": jnp.ones((4, 2)), "bias": jnp.ones(2)} for name in ("first", "middle", "last")}
    rules = [("(first|last)/kernel", partial(absmax_quantize, axis=-1)), (".*kernel", True), (".*", None)]
    tree = quantize_tree(params, quantize=partial(absmax_quantize, bits=4, axis=-1), rules=rules)
    assert [tree[name]["kernel"].bits for name in ("first", "middle", "last")] == [8, 4, 8]
    assert tree["last"]["bias"] is params["last"]["bias"]


def test_a_rule_that_matches_nothing_and_a_leaf_that_cannot_be_quantized_are_named() -> None:
    with pytest.raises(ValueError, match=r"every rule must match a leaf, but \['heads/.*'\] match none"):
        quantize_tree(parameters(), quantize=absmax_quantize, rules=[("heads/.*", True), (".*", False)])
    with pytest.raises(ValueError, match=r"^dense/kernel cannot be quantized: group must divide the 30 entries"):
        quantize_tree(parameters(), quantize=partial(absmax_quantize, axis=-1, group=7))
    bad = {"dense": {"kernel": jnp.full((2, 2), jnp.nan)}}
    with pytest.raises(ValueError, match=r"^dense/kernel cannot be quantized: x must hold no NaN"):
        quantize_tree(bad, quantize=absmax_quantize)


@pytest.mark.parametrize("form", ["bytes", "packed", "native"])
def test_every_form_stands_for_the_same_numbers(form: str) -> None:
    tree = quantize_tree(parameters(), quantize=partial(zeropoint_quantize, bits=4, axis=-1))
    other = store_tree(tree, form=form)
    assert digest(dequantize_tree(other)) == digest(dequantize_tree(tree))
    assert other["dense"]["kernel"].values.dtype == {"bytes": "int8", "packed": "uint8", "native": "int4"}[form]
    assert digest(store_tree(other, form="packed")) == digest(tree)


def test_everything_works_inside_jit() -> None:
    params = parameters()
    tree = jax.jit(partial(quantize_tree, quantize=per_channel))(params)
    np.testing.assert_array_equal(tree["dense"]["kernel"].values, per_channel(params["dense"]["kernel"]).values)
    np.testing.assert_allclose(
        jax.jit(dequantize_tree)(tree)["dense"]["kernel"], dequantize_tree(tree)["dense"]["kernel"], rtol=1e-6
    )


def test_an_empty_tree_stays_empty() -> None:
    assert dequantize_tree(quantize_tree({}, quantize=absmax_quantize)) == {}
