from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim, tree
from fjdl.optim.clip import clip_by_global_norm
from fjdl.optim.groups import FROZEN, partition, scale_by_path, stop_frozen
from fjdl.optim.plateau import reduce_on_plateau
from tests.support import assert_trees_close

PARAMS = {
    "encoder": {"kernel": np.float32([[1.0, -0.0], [0.5, 2.0]])},
    "head": {"kernel": np.float32([[0.3], [-1.0]]), "bias": np.float32([0.1])},
}
RULES = [("encoder/.*", FROZEN), (".*/bias", optim.sgd(0.5)), (".*", optim.adam(0.1))]


def run(optimizer: Any, steps: int = 3) -> tuple[Any, Any]:
    params, state = PARAMS, optimizer.init(PARAMS)
    update = jax.jit(optimizer.update)
    for _ in range(steps):
        updates, state = update(jax.tree.map(lambda p: 2 * p, params), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def test_equals_multi_transform_of_optax() -> None:
    labels = {"encoder": {"kernel": "frozen"}, "head": {"kernel": "adam", "bias": "sgd"}}
    parts = {"frozen": optax.set_to_zero(), "adam": optim.adam(0.1), "sgd": optim.sgd(0.5)}
    assert_trees_close(run(partition(RULES))[0], run(optax.multi_transform(parts, labels))[0])


def test_frozen_leaves_keep_their_bits_and_cost_no_state() -> None:
    params, state = run(partition(RULES))
    frozen, sgd, adam = state.groups
    assert tree.digest(params["encoder"]) == tree.digest(PARAMS["encoder"])
    assert jax.tree.leaves(frozen) == []
    assert tree.names(adam[0].mean) == ["head/kernel"]
    assert tree.size_in_bytes(state) == 2 * 2 * 4 + 3 * 4
    assert jax.tree.leaves(sgd) == [3]


def test_bad_gradients_of_frozen_leaves_do_not_matter() -> None:
    optimizer = partition(RULES)
    grads = {**PARAMS, "encoder": {"kernel": np.full((2, 2), np.nan, np.float32)}}
    updates, _ = optimizer.update(grads, optimizer.init(PARAMS), PARAMS)
    np.testing.assert_array_equal(updates["encoder"]["kernel"], 0.0)
    assert np.isfinite(updates["head"]["kernel"]).all()


def loss(params: Any, x: Any, *, rules: Any = None) -> Any:
    params = params if rules is None else stop_frozen(params, rules)
    hidden = jnp.tanh(x @ params["encoder"]["kernel"])
    return jnp.sum(jnp.square(hidden @ params["head"]["kernel"] + params["head"]["bias"][None]))


def products(**options: Any) -> int:
    return str(jax.make_jaxpr(jax.grad(lambda p, x: loss(p, x, **options)))(PARAMS, np.ones((4, 2)))).count(
        "dot_general"
    )


def test_stop_frozen_takes_the_products_out_of_the_backward_pass() -> None:
    assert (products(), products(rules=RULES)) == (5, 3)  # two forward; of three backward only the head's is left
    x = np.float32([[1.0, 2.0]])
    full, spared = jax.grad(loss)(PARAMS, x), jax.grad(lambda p, x: loss(p, x, rules=RULES))(PARAMS, x)
    assert_trees_close(spared["head"], full["head"], rtol=0, atol=0)
    np.testing.assert_array_equal(spared["encoder"]["kernel"], 0.0)


def test_a_norm_within_a_group_is_over_the_group_alone() -> None:
    optimizer = partition([("encoder/.*", clip_by_global_norm(1.0)), (".*", optim.sgd(1.0))])
    updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
    np.testing.assert_allclose(np.linalg.norm(updates["encoder"]["kernel"]), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(updates["head"]["kernel"], -PARAMS["head"]["kernel"])


def test_paths_keep_their_meaning_for_rules_within_a_group() -> None:
    decay = optim.add_decayed_weights(0.5, rules=optim.KERNELS)
    optimizer = partition([("head/.*", decay), (".*", FROZEN)])
    updates, _ = optimizer.update(jax.tree.map(np.zeros_like, PARAMS), optimizer.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["head"]["kernel"], 0.5 * PARAMS["head"]["kernel"])
    np.testing.assert_array_equal(updates["head"]["bias"], 0.0)


def test_keyword_arguments_reach_every_group() -> None:
    optimizer = partition([("head/.*", reduce_on_plateau(patience=0)), (".*", optim.sgd(1.0))])
    state = optimizer.init(PARAMS)
    for value in (1.0, 1.0):
        updates, state = optimizer.update(PARAMS, state, PARAMS, value=value)
    np.testing.assert_allclose(updates["head"]["kernel"], 0.1 * PARAMS["head"]["kernel"], rtol=1e-6)


def test_parameters_may_be_left_out_where_no_group_needs_them() -> None:
    optimizer = partition([(".*", optim.sgd(1.0))])
    assert_trees_close(optimizer.update(PARAMS, optimizer.init(PARAMS))[0], jax.tree.map(np.negative, PARAMS))


def test_rules_must_cover_every_leaf_and_paths_must_be_distinct() -> None:
    uncovered = [("head/.*", optim.sgd(1.0))]
    with pytest.raises(ValueError, match=r"none matches \['encoder/kernel'\]"):
        partition(uncovered).init(PARAMS)
    with pytest.raises(ValueError, match=r"none matches \['encoder/kernel'\]"):
        stop_frozen(PARAMS, uncovered)
    with pytest.raises(ValueError, match=r"the paths of parameters must be distinct, got \['a/b', 'a/b'\]"):
        partition(RULES).init({"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)})


def test_multipliers_by_path_equal_groups_of_optax() -> None:
    ours = optax.chain(optim.adam(0.1), scale_by_path([("encoder/.*", 0.1), (".*", 1.0)]))
    labels = {"encoder": {"kernel": "low"}, "head": {"kernel": "full", "bias": "full"}}
    theirs = optax.multi_transform({"low": optim.adam(0.01), "full": optim.adam(0.1)}, labels)
    assert_trees_close(run(ours)[0], run(theirs)[0])
    with pytest.raises(ValueError, match=r"none matches \['head/bias', 'head/kernel'\]"):
        scale_by_path([("encoder/.*", 0.1)]).update(PARAMS, optax.EmptyState())
