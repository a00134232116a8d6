import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.model import rescaled
from fjdl.models import MLP
from fjdl.nn import Model, averaged_views, ensemble, pure


def first_entry(params, stats, inputs, *, train=False, key=None):
    return params * inputs[:, :1], {"seen": stats["seen"] + train}


MODEL = Model(lambda key, inputs: (jnp.ones(()), {"seen": 0}), first_entry)
X = np.array([[1.0, 3.0], [2.0, 6.0]], np.float32)


def test_predictions_are_the_weighted_sum_over_views() -> None:
    model = averaged_views(MODEL, [(0.75, lambda x: x), (0.25, lambda x: x[:, ::-1])])
    outputs, stats = model.apply(2.0, {"seen": 0}, X)
    np.testing.assert_allclose(outputs, 2 * (0.75 * X[:, :1] + 0.25 * X[:, 1:]))
    assert stats == {"seen": 0}


def test_training_sees_the_inputs_alone() -> None:
    model = averaged_views(MODEL, [(1.0, lambda x: x[:, ::-1])])
    outputs, stats = model.apply(2.0, {"seen": 0}, X, train=True, key=None)
    np.testing.assert_allclose(outputs, 2 * X[:, :1])
    assert stats == {"seen": 1}


def test_there_must_be_a_view() -> None:
    with pytest.raises(ValueError, match="views must not be empty, got none"):
        averaged_views(MODEL, [])


def test_outputs_of_views_are_put_back_where_they_were() -> None:
    model = Model(lambda key, inputs: ((), {}), lambda p, s, x, **_: (x * np.arange(1.0, 3.0, dtype=np.float32), s))
    mirror = (lambda x: x, lambda x: x[:, ::-1])
    outputs, _ = averaged_views(model, [(0.5, view) for view in mirror], back=mirror).apply((), {}, X)
    np.testing.assert_array_equal(outputs, X * np.float32(1.5))  # each entry once by 1 and once by 2


def test_each_view_must_have_its_way_back() -> None:
    with pytest.raises(ValueError, match="back must have a function for each of the 2 views, got 1"):
        averaged_views(MODEL, [(0.5, lambda x: x), (0.5, lambda x: x)], back=[lambda x: x])


def test_members_learn_from_different_examples_and_predict_together() -> None:
    members = [pure(MLP(hidden=(width,), classes=2)) for width in (3, 2, 2)]
    x = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    model = ensemble(members)
    params, stats = jax.jit(model.init)(jax.random.key(0), x)
    assert np.any(params["member1"]["logits"]["kernel"] != params["member2"]["logits"]["kernel"])
    each = [jax.jit(lambda p, i=i: members[i].apply(p, {}, x)[0])(params[f"member{i}"]) for i in range(3)]
    np.testing.assert_allclose(
        jax.jit(lambda p: model.apply(p, stats, x)[0])(params), np.mean(each, axis=0), rtol=1e-5, atol=1e-6
    )
    trained, _ = jax.jit(lambda p, x: model.apply(p, stats, x, train=True, key=None))(params, x)
    for row in range(6):
        np.testing.assert_allclose(trained[row], each[row % 3][row], rtol=1e-5, atol=1e-6)
    slopes = jax.jit(jax.grad(lambda p: jnp.sum(model.apply(p, stats, x, train=True)[0][1::3])))(params)
    assert [any(leaf.any() for leaf in jax.tree.leaves(slopes[f"member{i}"])) for i in range(3)] == [0, 1, 0]
    rows = model.layers(x)
    assert sum(row.parameters for row in rows) == tree.count(params)
    assert [row.name for row in rows][-2:] == ["member2/hidden1", "member2/logits"]
    assert rows[-1].output == (2,)


def test_each_member_has_its_statistics_and_its_key() -> None:
    def apply(params, stats, inputs, *, train=False, key=None):
        noise = jax.random.uniform(key) if train else 0.0
        return params * jnp.mean(inputs["x"], axis=1) + noise, {"seen": stats["seen"] + jnp.sum(inputs["x"])}

    member = Model(lambda key, inputs: (jnp.ones(()), {"seen": jnp.zeros(())}), apply)
    model = ensemble([member, member])
    inputs = {"x": jnp.arange(8.0).reshape(4, 2)}
    params, stats = model.init(jax.random.key(0), inputs)
    outputs, after = model.apply(params, stats, inputs, train=True, key=jax.random.key(0))
    assert jax.device_get(after) == {"member0": {"seen": 10.0}, "member1": {"seen": 18.0}}
    noise = outputs - jnp.mean(inputs["x"], axis=1)
    assert len(set(np.round(np.asarray(noise), 4).tolist())) == 2


def test_outputs_are_moved_and_stretched() -> None:
    model = rescaled(MODEL, shift=100.0, scale=5.0)
    params, stats = model.init(jax.random.key(0), X)
    plain, changed = MODEL.apply(params, stats, X, train=True)
    outputs, after = model.apply(params, stats, X, train=True)
    np.testing.assert_allclose(outputs, 100 + 5 * np.asarray(plain), rtol=1e-6)
    assert jax.device_get(after) == jax.device_get(changed)
    with pytest.raises(ValueError, match="scale must be positive and finite, got 0"):
        rescaled(MODEL, shift=0.0, scale=0.0)
    with pytest.raises(ValueError, match=r"shift must lie in \(-inf, inf\), got nan"):
        rescaled(MODEL, shift=float("nan"), scale=1.0)


def test_what_an_ensemble_refuses() -> None:
    with pytest.raises(ValueError, match="members must not be empty, got none"):
        ensemble([])
    model = ensemble([MODEL, MODEL])
    with pytest.raises(ValueError, match="batch_size must be a multiple of the 2 members, got 3"):
        model.apply(*model.init(jax.random.key(0), X), np.ones((3, 2), np.float32), train=True)
