from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.optim.decay import KERNELS
from fjdl.optim.lars import lars, scale_by_trust_ratio
from tests.support import assert_trees_close


def scaled(update: Any, params: Any, **options: Any) -> Any:
    transformation = scale_by_trust_ratio(**options)
    return transformation.update(update, transformation.init(params), params)[0]


def test_each_leaf_is_scaled_to_the_norm_of_its_weights() -> None:
    params = {"a": jnp.asarray([[3.0], [4.0]]), "b": jnp.asarray(-2.0)}
    update = {"a": jnp.asarray([[0.0], [0.5]]), "b": jnp.asarray(8.0)}
    actual = scaled(update, params, trust_coefficient=0.1)
    assert_trees_close(actual, {"a": jnp.asarray([[0.0], [0.5]]), "b": jnp.asarray(0.2)})
    with_eps = scaled(update, params, eps=1.5)
    assert_trees_close(with_eps, {"a": jnp.asarray([[0.0], [1.25]]), "b": jnp.asarray(16 / 9.5)})


@pytest.mark.parametrize(("weight", "step"), [(0.0, 3.0), (2.0, 0.0), (0.0, 0.0)])
def test_a_zero_norm_leaves_the_update_as_it_is(weight: float, step: float) -> None:
    actual = scaled(jnp.full(3, step), jnp.full(3, weight), trust_coefficient=0.1)
    np.testing.assert_array_equal(actual, step)


def test_norms_whose_squares_overflow_or_vanish_are_right() -> None:
    np.testing.assert_allclose(scaled(jnp.full(4, 1e30), jnp.full(4, 1e-30)), 1e-30, rtol=1e-6)
    np.testing.assert_allclose(scaled(jnp.full(4, 1e-30), jnp.full(4, 1e30)), 1e30, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_step_that_is_not_finite_shows(bad: float) -> None:
    assert np.isnan(scaled(jnp.asarray([bad, 1.0]), jnp.ones(2))).all()


def test_rules_spare_leaves_and_multiply_the_ratio_as_masks_of_optax_do() -> None:
    params = {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.full(2, 2.0)}
    update = jax.tree.map(jnp.ones_like, params)
    mask = {"kernel": True, "bias": False}
    theirs = optax.masked(optax.scale_by_trust_ratio(), mask)
    expected = theirs.update(update, theirs.init(params), params)[0]
    assert_trees_close(scaled(update, params, rules=KERNELS), expected)
    doubled = scaled(update, params, rules=[("kernel", 2.0), ("bias", 0.0)])
    assert_trees_close(doubled, {"kernel": jnp.full((2, 2), 4.0), "bias": jnp.ones(2)})


@pytest.mark.parametrize("nesterov", [False, True])
def test_lars_with_rules_is_optax_s_with_masks(nesterov: bool, rng: np.random.Generator) -> None:
    params = {"kernel": jnp.asarray(rng.standard_normal((3, 2))), "bias": jnp.asarray(rng.standard_normal(2))}
    mask = {"kernel": True, "bias": False}
    options = {"momentum": 0.8, "nesterov": nesterov, "weight_decay": 0.1, "trust_coefficient": 0.02, "eps": 1e-3}
    ours = lars(0.1, decay_rules=KERNELS, trust_rules=KERNELS, **options)
    theirs = optax.lars(0.1, weight_decay_mask=mask, trust_ratio_mask=mask, **options)
    states = [ours.init(params), theirs.init(params)]
    for scale in (1.0, -2.0, 0.5):
        gradient = jax.tree.map(partial(jnp.multiply, scale), params)
        actual, states[0] = ours.update(gradient, states[0], params)
        expected, states[1] = theirs.update(gradient, states[1], params)
        assert_trees_close(actual, expected)


def test_the_velocity_can_be_kept_in_bfloat16() -> None:
    params = jnp.ones((2, 2))
    state = lars(0.1, velocity_dtype=jnp.bfloat16).init(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.int32)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trust_coefficient": 0.0}, "trust_coefficient must be positive, got 0.0"),
        ({"eps": -1.0}, "eps must not be negative, got -1.0"),
    ],
)
def test_options_outside_of_their_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lars(0.1, **options)


def test_missing_parameters_are_named() -> None:
    transformation = scale_by_trust_ratio()
    with pytest.raises(ValueError, match="params must be given to a trust ratio"):
        transformation.update(jnp.ones(2), transformation.init(jnp.ones(2)))
