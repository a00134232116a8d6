from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl.functional import scaling
from fjdl.model import Model, evaluated, preprocessed
from fjdl.models import MLP
from fjdl.nn import BatchNorm, Dense, Dropout, pure
from tests.support import assert_trees_close
from tests.train.toy import Centred

KEY, X = jax.random.key(0), jnp.arange(12.0).reshape(4, 3)


def test_parameters_and_statistics_are_plain_dictionaries() -> None:
    params, stats = pure(Centred(2)).init(KEY, X)
    assert (type(params), type(params["logits"]), type(stats)) == (dict, dict, dict)
    assert jax.tree.map(jnp.shape, params) == {"logits": {"kernel": (3, 2), "bias": (2,)}}
    assert jax.tree.map(jnp.shape, stats) == {"batch_stats": {"mean": (3,)}}


def test_a_network_without_state_has_no_statistics() -> None:
    model = pure(MLP(hidden=(5,), classes=2))
    params, stats = model.init(KEY, X)
    assert stats == {}
    outputs, after = model.apply(params, stats, X, train=True, key=KEY)
    assert (outputs.shape, after) == ((4, 2), {})


def test_a_network_without_parameters_has_none() -> None:
    class Double(linen.Module):
        def __call__(self, x: Any, *, train: bool = False) -> Any:
            return 2 * x

    model = pure(Double())
    assert model.init(KEY, X) == ({}, {})
    np.testing.assert_array_equal(model.apply({}, {}, X)[0], 2 * X)


def test_training_moves_the_statistics_and_evaluation_leaves_them_alone() -> None:
    model = pure(Centred(2))
    params, stats = model.init(KEY, X)
    _, once = model.apply(params, stats, X, train=True)
    np.testing.assert_allclose(once["batch_stats"]["mean"], 0.1 * np.array([4.5, 5.5, 6.5]), rtol=1e-6)
    _, twice = model.apply(params, once, X, train=True)
    np.testing.assert_allclose(twice["batch_stats"]["mean"], 0.19 * np.array([4.5, 5.5, 6.5]), rtol=1e-6)
    assert not stats["batch_stats"]["mean"].any(), "the statistics given must not change"
    outputs, after = model.apply(params, twice, X)
    assert after is twice
    by_hand = (X - twice["batch_stats"]["mean"][None]) @ params["logits"]["kernel"]
    np.testing.assert_allclose(outputs, by_hand, rtol=1e-5, atol=1e-5)


def test_statistics_keep_their_structure_so_that_a_scan_can_carry_them() -> None:
    model = pure(Centred(2))
    params, stats = model.init(KEY, X)
    final, _ = jax.lax.scan(lambda s, x: (model.apply(params, s, x, train=True)[1], None), stats, jnp.stack([X] * 3))
    assert jax.tree.structure(final) == jax.tree.structure(stats)


def test_the_key_decides_what_training_drops_and_evaluation_ignores_it() -> None:
    model = pure(MLP(hidden=(50,), classes=2, dropout=0.5))
    params, stats = model.init(KEY, X)
    train = [model.apply(params, stats, X, train=True, key=jax.random.key(seed))[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(train[0], train[1])
    assert jnp.any(train[0] != train[2])
    still = [model.apply(params, stats, X, key=key)[0] for key in (None, KEY)]
    np.testing.assert_array_equal(still[0], still[1])
    with pytest.raises(Exception, match="dropout"):
        model.apply(params, stats, X, train=True)


def test_init_is_a_function_of_the_key() -> None:
    model = pure(MLP(hidden=(5,), classes=2))
    first, again, other = (model.init(jax.random.key(seed), X)[0]["logits"]["kernel"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert jnp.any(first != other)


def test_jit_changes_nothing() -> None:
    model = pure(MLP(hidden=(5,), classes=2, dropout=0.5))
    params, _ = jax.jit(model.init)(KEY, X)
    eager = model.apply(params, {}, X, train=True, key=KEY)[0]
    jitted = jax.jit(lambda p, x, k: model.apply(p, {}, x, train=True, key=k)[0])(params, X, KEY)
    np.testing.assert_allclose(jitted, eager, rtol=1e-6, atol=1e-6)


def test_a_fitted_preprocessing_is_part_of_what_is_saved(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((8, 3)) * 5 + 2, jnp.float32)
    plain = pure(MLP(hidden=(5,), classes=2))
    model = preprocessed(plain, scaling.transform, fit=lambda: scaling.fit_standard(x))
    params, stats = jax.jit(model.init)(jax.random.key(0), x)
    np.testing.assert_allclose(stats["preprocessing"].shift, x.mean(axis=0), rtol=1e-5)
    scaled = (x - x.mean(axis=0)[None]) / x.std(axis=0)[None]
    for train in (True, False):
        outputs, after = model.apply(params, stats, x, train=train)
        np.testing.assert_allclose(outputs, plain.apply(params, {}, scaled)[0], rtol=1e-4, atol=1e-5)
        assert_trees_close(after, stats)


def test_the_layers_of_a_model_are_its_costs() -> None:
    rows = pure(MLP(hidden=(5,), classes=2)).layers(jax.ShapeDtypeStruct(X.shape, X.dtype))
    assert [(row.output, row.parameters, row.macs) for row in rows if row.parameters] == [
        ((5,), 20, 15),
        ((2,), 12, 10),
    ]
    assert Model(lambda key, x: ({}, {}), lambda *args: args).layers(X) == ()


def test_the_layers_behind_a_preprocessing_are_those_of_what_it_gives() -> None:
    plain = pure(MLP(hidden=(5,), classes=2))
    model = preprocessed(
        plain, lambda state, x: jnp.concatenate([x, x], axis=-1) + state, fit=lambda: jnp.zeros((1, 6))
    )
    doubled = jax.ShapeDtypeStruct((4, 6), jnp.float32)
    assert model.layers(X) == model.layers(jax.ShapeDtypeStruct(X.shape, X.dtype)) == plain.layers(doubled)


def test_chosen_parts_are_the_outputs() -> None:
    whole, model = pure(MLP(hidden=(5,), classes=2)), pure(MLP(hidden=(5,), classes=2), outputs=("logits",))
    params, stats = jax.jit(model.init)(KEY, X)
    features, after = jax.jit(model.apply)(params, stats, X)
    assert (list(features), after) == (["logits"], {})
    np.testing.assert_array_equal(features["logits"], jax.jit(whole.apply)(params, stats, X)[0])
    assert model.layers(X) == whole.layers(X)


def test_chosen_parts_come_with_the_statistics_of_training() -> None:
    whole, model = pure(Centred(2)), pure(Centred(2), outputs=("logits",))
    params, stats = whole.init(KEY, X)
    features, after = model.apply(params, stats, X, train=True)
    logits, expected = whole.apply(params, stats, X, train=True)
    np.testing.assert_array_equal(features["logits"], logits)
    assert_trees_close(after, expected)
    assert model.apply(params, stats, X)[1] is stats


def test_evaluated_trains_as_it_evaluates() -> None:
    class Noisy(linen.Module):
        @linen.compact
        def __call__(self, x: Any, *, train: bool = False) -> Any:
            x = Dropout(0.5, name="dropout")(BatchNorm(name="norm")(x, train=train), train=train)
            return Dense(2, name="logits")(x)

    model = pure(Noisy())
    params, stats = jax.jit(model.init)(KEY, X)
    still = evaluated(model)
    expected, _ = model.apply(params, stats, X)
    for options in ({"train": True, "key": KEY}, {"train": True}, {}):
        outputs, after = still.apply(params, stats, X, **options)
        np.testing.assert_array_equal(outputs, expected)
        assert after is stats
    assert still.layers(X) == model.layers(X)
    slopes = jax.jit(jax.grad(lambda p: jnp.sum(still.apply(p, stats, X, train=True)[0])))(params)
    assert jnp.any(slopes["norm"]["scale"] != 0)
