from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen
from jax.sharding import NamedSharding, PartitionSpec

from fjdl.functional.batch_norm import batch_norm, batch_norm_inference
from fjdl.functional.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from fjdl.functional.local_response import local_response_norm
from fjdl.nn.layers import Dense
from fjdl.nn.model import pure
from fjdl.nn.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RMSNorm
from tests.support import assert_trees_close, count_traces

KEY = jax.random.key(0)


class Net(linen.Module):
    """A hidden layer with batch norm, then logits."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        x = BatchNorm(name="norm")(Dense(4, use_bias=False, name="hidden")(x), train=train)
        return Dense(2, name="logits")(jnp.maximum(x, 0))


MODEL = pure(Net())
MODEL = MODEL._replace(init=jax.jit(MODEL.init), apply=jax.jit(MODEL.apply, static_argnames="train"))
X = jax.random.normal(KEY, (16, 3)) * 5 + 2
Y = jax.nn.one_hot(jnp.arange(16) % 2, 2)


def batch(module: BatchNorm, x: Any, **options: Any) -> tuple[Any, Any]:
    @jax.jit
    def run(x: Any) -> Any:
        variables = module.init(KEY, x, train=False)
        return module.apply(variables, x, train=True, mutable=["batch_stats"], **options)

    return run(x)


@pytest.mark.parametrize(
    ("module", "function"),
    [
        (LayerNorm(), layer_norm),
        (GroupNorm(groups=2), lambda x, s, b: group_norm(x, s, b, groups=2)),
        (InstanceNorm(), instance_norm),
        (RMSNorm(), lambda x, s, b: rms_norm(x, s)),
    ],
    ids=lambda p: type(p).__name__,
)
def test_a_layer_is_its_function_on_its_parameters(module: linen.Module, function: Any) -> None:
    x = jax.random.normal(KEY, (2, 3, 4))
    declared = jax.jit(module.init)(KEY, x.astype(jnp.bfloat16))["params"]
    assert {k: (p.shape, p.dtype, float(np.asarray(p)[0])) for k, p in declared.items()} == {
        k: ((4,), jnp.float32, v) for k, v in (("scale", 1.0), ("bias", 0.0)) if k in declared
    }
    scale, bias = jnp.arange(1.0, 5), jnp.arange(4.0)
    params = {"scale": scale, "bias": bias} if "bias" in declared else {"scale": scale}
    run = jax.jit(lambda x: (module.apply({"params": params}, x), function(x, scale, bias)))
    np.testing.assert_array_equal(*run(x))


@pytest.mark.parametrize("kind", [LayerNorm, lambda **o: GroupNorm(groups=2, **o), InstanceNorm])
def test_scale_and_bias_can_be_left_out(kind: Any) -> None:
    assert jax.eval_shape(kind(use_scale=False, use_bias=False).init, KEY, jnp.ones((2, 3, 4))) == {}
    assert jax.eval_shape(RMSNorm(use_scale=False).init, KEY, jnp.ones((2, 3))) == {}


def test_local_response_passes_its_options_and_has_no_parameters() -> None:
    x = jax.random.normal(KEY, (2, 5))
    options = {"size": 3, "alpha": 0.5, "beta": 0.6, "k": 1.5, "average": True}
    assert LocalResponseNorm(**options).init(KEY, x) == {}  # type: ignore[arg-type]
    module = LocalResponseNorm(**options)  # type: ignore[arg-type]
    run = jax.jit(lambda x: (module.apply({}, x), local_response_norm(x, **options)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(*run(x))


def test_batch_norm_declares_statistics_of_zero_mean_and_unit_variance_in_float32() -> None:
    variables = BatchNorm().init(KEY, X.astype(jnp.bfloat16), train=False)
    assert variables["batch_stats"].keys() == {"mean", "var"}
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], np.zeros(3))
    np.testing.assert_array_equal(variables["batch_stats"]["var"], np.ones(3))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert "params" not in BatchNorm(use_scale=False, use_bias=False).init(KEY, X, train=False)


def test_training_normalizes_with_the_batch_and_moves_the_statistics() -> None:
    y, changed = batch(BatchNorm(momentum=0.75, unbiased=True), X)
    expected, moments = batch_norm(X)
    np.testing.assert_allclose(y, expected, atol=1e-6)
    np.testing.assert_allclose(changed["batch_stats"]["mean"], 0.25 * moments.mean, rtol=1e-6)
    np.testing.assert_allclose(changed["batch_stats"]["var"], 0.75 + 0.25 * moments.variance * 16 / 15, rtol=1e-6)


def test_initializing_in_training_form_leaves_the_statistics_fresh() -> None:
    stats = BatchNorm().init(KEY, X, train=True)["batch_stats"]
    assert not stats["mean"].any()


def test_evaluation_uses_the_statistics_and_does_not_change_them() -> None:
    params, stats = MODEL.init(KEY, X)
    _, stats = MODEL.apply(params, stats, X, train=True)
    outputs, after = MODEL.apply(params, stats, X)
    assert_trees_close(after, stats, rtol=0, atol=0)
    running = stats["batch_stats"]["norm"]
    hidden = batch_norm_inference(X @ params["hidden"]["kernel"], running["mean"], running["var"])
    by_hand = jnp.maximum(hidden, 0) @ params["logits"]["kernel"]
    np.testing.assert_allclose(outputs, by_hand, rtol=1e-4, atol=1e-5)


def test_statistics_stay_float32_when_the_network_runs_in_bfloat16() -> None:
    params, stats = MODEL.init(KEY, X)
    outputs, after = MODEL.apply(params, stats, X.astype(jnp.bfloat16), train=True)
    assert outputs.dtype == jnp.bfloat16
    assert jax.tree.map(lambda a: (a.shape, a.dtype), after) == jax.tree.map(lambda a: (a.shape, a.dtype), stats)


def test_a_network_with_batch_norm_learns_in_one_compilation() -> None:
    optimizer = optax.sgd(0.5)

    def step(params: Any, stats: Any, opt: Any) -> Any:
        def objective(params: Any) -> Any:
            logits, new = MODEL.apply(params, stats, X, train=True)
            return jnp.mean(optax.softmax_cross_entropy(logits, Y)), new

        (loss, new), gradients = jax.value_and_grad(objective, has_aux=True)(params)
        updates, opt = optimizer.update(gradients, opt)
        return optax.apply_updates(params, updates), new, opt, loss

    step, traces = count_traces(step)
    params, stats = MODEL.init(KEY, X)
    opt, losses = optimizer.init(params), []
    for _ in range(60):
        params, stats, opt, loss = step(params, stats, opt)
        losses.append(float(loss))
    assert losses[-1] < 0.7 * losses[0]
    assert len(traces) == 1
    evaluated = jnp.mean(optax.softmax_cross_entropy(MODEL.apply(params, stats, X)[0], Y))
    assert abs(evaluated - losses[-1]) < 0.2


def test_under_jit_eight_devices_share_the_statistics_of_the_whole_batch() -> None:
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    params, stats = MODEL.init(KEY, X)
    run = jax.jit(lambda x: MODEL.apply(params, stats, x, train=True))
    split = run(jax.device_put(X, NamedSharding(mesh, PartitionSpec("data"))))
    assert_trees_close(split, run(X), rtol=1e-5, atol=1e-5)


def test_a_mask_and_an_axis_name_reach_the_function() -> None:
    mask = jnp.arange(16) < 9
    y, changed = batch(BatchNorm(), X, mask=mask)
    assert not y[9:].any()
    np.testing.assert_allclose(changed["batch_stats"]["mean"], 0.1 * np.mean(X[:9], axis=0), rtol=1e-5)
    variables = BatchNorm().init(KEY, X, train=False)

    def part(x: Any) -> Any:
        return BatchNorm(axis_name="parts").apply(variables, x, train=True, mutable=["batch_stats"])

    pieces, stats = jax.jit(jax.vmap(part, axis_name="parts"))(X.reshape(4, 4, 3))
    np.testing.assert_allclose(pieces.reshape(16, 3), batch(BatchNorm(), X)[0], atol=1e-6)
    np.testing.assert_allclose(stats["batch_stats"]["mean"][2], 0.1 * np.mean(X, axis=0), rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_each_group_of_a_batch_has_statistics_of_its_own(groups: int, rng: np.random.Generator) -> None:
    """As in ghost batch normalization: the parts one by one, and the means of their moments."""
    x = rng.standard_normal((8, 3, 2)).astype(np.float32) * 3 + 1
    y, updates = batch(BatchNorm(groups=groups), jnp.asarray(x))
    parts = np.split(x, groups)
    expected = [(part - part.mean((0, 1))) / np.sqrt(part.var((0, 1)) + 1e-5) for part in parts]
    np.testing.assert_allclose(y, np.concatenate(expected), rtol=1e-4, atol=1e-5)
    statistics = updates["batch_stats"]
    np.testing.assert_allclose(statistics["mean"], 0.1 * x.mean((0, 1)), rtol=1e-4, atol=1e-6)
    variance = np.mean([part.var((0, 1)) for part in parts], axis=0)
    np.testing.assert_allclose(statistics["var"], 0.9 + 0.1 * variance, rtol=1e-4)


def test_groups_take_their_part_of_the_mask(rng: np.random.Generator) -> None:
    x, mask = rng.standard_normal((8, 2)).astype(np.float32), jnp.arange(8) % 4 != 3
    y, _ = batch(BatchNorm(groups=2), jnp.asarray(x), mask=mask)
    for start in (0, 4):
        part = x[start : start + 3]
        np.testing.assert_allclose(y[start : start + 3], (part - part.mean(0)) / np.sqrt(part.var(0) + 1e-5), rtol=1e-4)
        assert not np.asarray(y[start + 3]).any()


def test_groups_that_do_not_divide_the_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="groups must divide the batch, got groups=3 and a batch of 8"):
        batch(BatchNorm(groups=3), jnp.ones((8, 2)))
