import itertools
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from fjdl import tree
from tests.support import float64


def parameters():
    return {
        "conv": {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.ones(3)},
        "scales": [jnp.full(2, 0.5, jnp.bfloat16), jnp.asarray(7, jnp.int32)],
    }


def test_names_join_keys_and_positions_in_the_order_of_the_leaves():
    assert tree.names(parameters()) == ["conv/bias", "conv/kernel", "scales/0", "scales/1"]
    assert tree.names({}) == []


def test_the_name_of_a_path_joins_keys_positions_and_fields():
    nested = {"a": [0, {"b": optax.EmptyState(), "c": 1}], "d": optax.TraceState(2)}
    leaves = jax.tree_util.tree_leaves_with_path(nested)
    assert [tree.name(path) for path, _ in leaves] == ["a/0", "a/1/c", "d/trace"]
    assert [tree.whole_name(path) for path, _ in leaves] == ["a/0", "a/1/c", "d/trace"]


def test_map_named_hands_over_the_name_and_the_leaves_of_every_tree():
    first, second = {"a": 1, "b": {"c": 2}}, {"a": 10, "b": {"c": 20}}
    assert tree.map_named(lambda name, x, y: (name, x + y), first, second) == {"a": ("a", 11), "b": {"c": ("b/c", 22)}}


def test_select_takes_the_first_rule_that_matches_the_whole_name():
    rules = [(r".*/bias", "none"), (r"conv/.*", "l2"), (r".*", "rest"), (r"scales/0", "never")]
    assert tree.select(parameters(), rules) == {
        "conv": {"kernel": "l2", "bias": "none"},
        "scales": ["rest", "rest"],
    }


def test_select_refuses_leaves_that_no_rule_covers_and_names_them():
    message = (
        "every leaf must match a rule of ['conv/kernel', 'scale'], but none matches ['conv/bias', 'scales/0', 'sca"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        tree.select(parameters(), [("conv/kernel", 1), ("scale", 2)])


def test_select_refuses_rules_that_match_no_leaf_and_names_them():
    message = "every rule must match a leaf, but ['dense/.*', 'kernel'] match none of ['conv/bias', 'conv/kernel', "
    with pytest.raises(ValueError, match=re.escape(message)):
        tree.select(parameters(), [("dense/.*", 1), ("kernel", 2), (".*", 3)])


def test_select_takes_general_rules_that_match_no_leaf_and_any_rules_for_no_leaves():
    rules = [("(scales|conv)/.*", 1), (".*", 2), ("(?!.*bias).*", 3)]
    assert set(jax.tree.leaves(tree.select(parameters(), rules))) == {1}
    assert tree.select({}, []) == tree.select({}, [("kernel", 1)]) == {}


class Box(NamedTuple):
    value: Any


def test_the_value_of_a_box_is_no_part_of_a_name_and_a_key_called_value_is():
    boxed = {"conv": {"kernel": Box(jnp.ones(2)), "value": Box(jnp.ones(1))}, "value": jnp.ones(3)}
    assert tree.names(boxed) == ["conv/kernel", "conv/value", "value"]
    assert tree.select(boxed, [("conv/kernel", 1), (".*value", 2)])["conv"]["kernel"] == Box(1)
    partitioned = nn.Partitioned(jnp.ones(2), names=(None,))
    assert tree.names({"kernel": partitioned}) == ["kernel"]


def test_the_digest_tells_a_box_from_its_content():
    assert tree.digest({"a": Box(jnp.ones(2))}) != tree.digest({"a": jnp.ones(2)})


def test_global_norm_equals_optax_and_numpy(rng):
    leaves = {"a": rng.standard_normal((3, 4)).astype(np.float32), "b": [rng.standard_normal(5).astype(np.float32)]}
    flat = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(leaves)])
    np.testing.assert_allclose(tree.global_norm(leaves), np.linalg.norm(flat), rtol=1e-6)
    np.testing.assert_allclose(tree.global_norm(leaves), optax.tree.norm(leaves), rtol=1e-6)
    ours, theirs = jax.grad(tree.global_norm)(leaves), jax.grad(optax.tree.norm)(leaves)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("size", [1.6e38, 1e30, 2e19, 1.0, 2e-19, 1e-30, 2e-38])
def test_global_norm_neither_overflows_nor_underflows(size):
    leaves = {"a": jnp.full(4, size, jnp.float32), "b": jnp.zeros(2)}
    value, gradient = jax.jit(jax.value_and_grad(tree.global_norm))(leaves)
    np.testing.assert_allclose(value, 2 * size, rtol=1e-6)
    np.testing.assert_allclose(gradient["a"], np.full(4, 0.5), rtol=1e-6)


SPREAD = [1e38, -3e37, 1e30, -1e25, 1e19, 5e18, 1.0, 1e-18, -1e-19, 1e-25, 1e-30, -1e-34]


def test_both_ways_of_the_norm_are_the_norm(rng):
    """Of leaves of one shape and of others, whose entries are alike or far apart."""

    def leaves(first, second):
        values = np.append(rng.standard_normal(17), 1) * first, rng.standard_normal((2, 3)) * second
        return [values[0][:9], values[0][9:], values[1]]

    both = jax.jit(lambda leaves: (tree.norm_in_one_pass(leaves), tree.norm_in_two_passes(leaves)))
    for first, second in itertools.product(SPREAD, SPREAD):
        rounded = [leaf.astype(np.float32) for leaf in leaves(first / 4, second / 4)]
        expected = np.linalg.norm(np.concatenate([leaf.ravel() for leaf in rounded]).astype(np.float64))
        np.testing.assert_allclose(both(rounded), expected, rtol=1e-6)


def test_the_way_of_other_platforms_promises_the_same():
    norm = jax.jit(tree.norm_in_one_pass)
    assert [float(norm([jnp.zeros(2), jnp.zeros((0, 3))])), float(norm([jnp.zeros((0, 3))]))] == [0, 0]
    for poison in (np.nan, np.inf, -np.inf):
        assert not np.isfinite(norm([jnp.ones(3), jnp.asarray([1.0, poison])]))
    np.testing.assert_allclose(norm([jnp.array([3e30 + 4e30j]), jnp.array([12e30])]), 13e30, rtol=1e-6)
    for size in (1e38, 1e30, 1.0, 1e-30):
        np.testing.assert_allclose(norm([jnp.full(1, size, jnp.float32)]), size, rtol=1e-6)
    with float64():
        leaves = [jnp.asarray([3e300]), jnp.asarray([4e300, 0, 0])]
        np.testing.assert_allclose(tree.norm_in_one_pass(leaves), 5e300, rtol=1e-15)
        mixed = [jnp.asarray([3.0], jnp.float32), jnp.asarray([4.0]), jnp.asarray([12j], jnp.complex64)]
        assert tree.norm_in_one_pass(mixed).dtype == jnp.float64
        np.testing.assert_allclose(tree.norm_in_one_pass(mixed), 13, rtol=1e-15)


def test_on_tpus_leaves_of_one_shape_are_summed_together():
    leaves = [jnp.ones(3)] * 5 + [jnp.ones((2, 2))] * 4
    text = jax.jit(tree.global_norm).trace(leaves).lower(lowering_platforms=("tpu",)).as_text()
    assert text.count("stablehlo.reduce(") == 2 * 3


def test_the_gradient_of_the_norm_has_a_gradient(rng):
    x = rng.standard_normal(4).astype(np.float32)
    length = np.linalg.norm(x)
    expected = (np.eye(4) - np.outer(x, x) / length**2) / length
    np.testing.assert_allclose(jax.jit(jax.hessian(tree.global_norm))(x), expected, atol=1e-5)


def test_global_norm_of_zeros_is_0_with_zero_gradient():
    value, gradient = jax.value_and_grad(tree.global_norm)({"a": jnp.zeros(3), "b": jnp.zeros(())})
    assert value == 0
    np.testing.assert_array_equal(gradient["a"], np.zeros(3))
    np.testing.assert_array_equal(gradient["b"], 0.0)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_global_norm_is_not_finite_where_an_entry_is_not(poison):
    assert not np.isfinite(tree.global_norm({"a": jnp.ones(3), "b": jnp.asarray([1.0, poison])}))


@pytest.mark.parametrize("empty", [{}, [], {"a": jnp.zeros((0, 3))}], ids=str)
def test_global_norm_of_nothing_is_0(empty):
    value = tree.global_norm(empty)
    assert (value.shape, float(value)) == ((), 0.0)


def test_global_norm_sums_bfloat16_in_float32_and_float64_in_float64():
    norm = tree.global_norm([jnp.ones(4097, jnp.bfloat16)])
    assert norm.dtype == jnp.float32
    np.testing.assert_allclose(norm, np.sqrt(4097), rtol=1e-6)
    with float64():
        np.testing.assert_allclose(tree.global_norm([jnp.asarray([3e300, 4e300])]), 5e300, rtol=1e-15)


def test_cast_changes_floating_leaves_alone():
    cast = tree.cast(parameters(), jnp.float16)
    assert [leaf.dtype for leaf in jax.tree.leaves(cast)] == [jnp.float16, jnp.float16, jnp.float16, jnp.int32]
    np.testing.assert_array_equal(cast["conv"]["kernel"], np.arange(6).reshape(2, 3))


def test_count_and_bytes_follow_shapes_and_dtypes():
    assert tree.count(parameters()) == 6 + 3 + 2 + 1
    assert tree.size_in_bytes(parameters()) == 4 * 6 + 4 * 3 + 2 * 2 + 4
    assert (tree.count({}), tree.size_in_bytes({})) == (0, 0)
    shapes = jax.eval_shape(parameters)
    assert (tree.count(shapes), tree.size_in_bytes(shapes)) == (12, 44)


def flip_one_bit(leaves):
    leaves["conv"]["kernel"] = np.asarray(leaves["conv"]["kernel"]).copy()
    leaves["conv"]["kernel"].view(np.uint32)[1, 2] ^= 1
    return leaves


CHANGES = {
    "one bit": flip_one_bit,
    "the sign of a zero": lambda t: t | {"conv": t["conv"] | {"kernel": t["conv"]["kernel"].at[0, 0].set(-0.0)}},
    "a dtype": lambda t: t | {"scales": [t["scales"][0], t["scales"][1].astype(jnp.uint32)]},
    "a shape": lambda t: t | {"conv": t["conv"] | {"kernel": t["conv"]["kernel"].reshape(3, 2)}},
    "a name": lambda t: {"conv": t["conv"], "scale": t["scales"]},
    "a missing leaf": lambda t: {"conv": t["conv"]},
    "an empty leaf more": lambda t: t | {"none": jnp.zeros(0)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_changes_with(change):
    assert tree.digest(CHANGES[change](parameters())) != tree.digest(parameters())


def test_the_digest_is_that_of_the_values_wherever_they_lie():
    on_device = parameters()
    on_host = jax.tree.map(lambda x: np.asfortranarray(np.asarray(x)) if x.ndim else np.asarray(x), on_device)
    elsewhere = jax.device_put(on_device, jax.devices()[-1])
    assert tree.digest(on_device) == tree.digest(on_host) == tree.digest(elsewhere)
    assert re.fullmatch("[0-9a-f]{64}", tree.digest(on_device))
