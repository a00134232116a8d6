from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.quant import Quantized, absmax_quantize, dequantize_tree, quantize_tree, size_in_bytes, zeropoint_quantize


def parameters() -> dict:
    rng = np.random.default_rng(0)
    kernel = jnp.asarray(rng.standard_normal((30, 10)), jnp.float32)
    return {"dense": {"kernel": kernel, "bias": jnp.arange(10.0)}, "step": jnp.asarray(3)}


per_channel = partial(absmax_quantize, axis=-1)


def test_only_kernels_are_quantized_by_default() -> None:
    params = parameters()
    tree = quantize_tree(params, quantize=per_channel)
    assert isinstance(tree["dense"]["kernel"], Quantized)
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


def test_numbers_of_4_bits_take_whole_bytes_until_they_are_packed() -> None:
    four = quantize_tree(parameters(), quantize=partial(absmax_quantize, bits=4))
    assert size_in_bytes(four) == size_in_bytes(quantize_tree(parameters(), quantize=absmax_quantize))
    assert size_in_bytes(four) == sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(four))
    assert size_in_bytes({"w": jnp.zeros(10, jnp.int4)}) == 10


def test_everything_works_inside_jit() -> None:
    params = parameters()
    tree = jax.jit(partial(quantize_tree, quantize=per_channel))(params)
    np.testing.assert_array_equal(tree["dense"]["kernel"].values, per_channel(params["dense"]["kernel"]).values)
    np.testing.assert_allclose(
        jax.jit(dequantize_tree)(tree)["dense"]["kernel"], dequantize_tree(tree)["dense"]["kernel"], rtol=1e-6
    )


def test_an_empty_tree_stays_empty() -> None:
    assert dequantize_tree(quantize_tree({}, quantize=absmax_quantize)) == {}
