"""Frozen parameters and rates by path, beside `optax.multi_transform` and `optax.set_to_zero`."""

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim, tree
from fjdl.errors import UsageError
from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.train.layout import fully_sharded
from fjdl.train.learned import joined, learned
from fjdl.train.prepare import prepare, training_call
from fjdl.train.resident import place
from fjdl.train.state import init_state
from fjdl.train.step import make_train_step
from fjdl.transfer import layerwise_rates
from tests.support import assert_trees_close
from tests.train.toy import batch, devices, first_state, mesh, quick, recipe

NETWORK = MLP(hidden=(16, 16), classes=10)
STEPS = 3


def finetuning(**changes: Any) -> Any:
    """The first layer stays, the second learns at a tenth of the rate of the head."""
    settings: dict[str, Any] = {
        "model": quick(NETWORK),
        "batch_size": 64,
        "optimizer": lambda steps: optim.adamw(0.01, weight_decay=0.1),
        "freeze": "hidden1/.*",
        "rates": (("hidden2/.*", 0.1), ("logits/.*", 1.0)),
    }
    return recipe(**{**settings, **changes})


def by_optax(given: Any, params: Any, *, decay: float) -> tuple[Any, Any]:
    """The parameters after some steps on that batch, and their average, by a program of optax alone."""
    adamw = optax.adamw(0.01, weight_decay=0.1)
    groups: Any = {"hidden1": optax.set_to_zero(), "hidden2": optax.chain(adamw, optax.scale(0.1)), "logits": adamw}
    optimizer = optax.multi_transform(groups, lambda params: {name: name for name in params})

    def loss(params: Any) -> Any:
        outputs, _ = pure(NETWORK).apply(params, {}, given["image"])
        return optax.softmax_cross_entropy_with_integer_labels(outputs, given["label"]).mean()

    @jax.jit
    def step(params: Any, state: Any, average: Any) -> Any:
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        params = optax.apply_updates(params, updates)
        return params, state, jax.tree.map(lambda a, p: decay * a + (1 - decay) * p, average, params)

    state, average = optimizer.init(params), params
    for _ in range(STEPS):
        params, state, average = step(params, state, average)
    return params, average


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({"accumulate": 4}, 1e-5),
        pytest.param({"precision": "bfloat16"}, 2e-2, marks=pytest.mark.slow),
        pytest.param(
            {"precision": "float16", "loss_scale": optim.dynamic_loss_scale(initial=8.0)}, 5e-3, marks=pytest.mark.slow
        ),
    ],
    ids=["accumulated", "bfloat16", "float16"],
)
def test_steps_are_those_of_optax(changes: Any, tolerance: float) -> None:
    made, given = finetuning(ema=0.9, **changes), batch(64)
    state = first = first_state(made, given)
    report: Any = None
    step = jax.jit(make_train_step(made, mesh(), steps=10))
    for _ in range(STEPS):
        state, report = step(state, given)
    assert not report.bad
    params, average = by_optax(given, first.params, decay=0.9)
    assert_trees_close(state.params, params, rtol=tolerance, atol=tolerance)
    assert_trees_close(state.ema, average, rtol=tolerance, atol=tolerance)
    for part in ("params", "ema"):
        before, after = getattr(first, part)["hidden1"], getattr(state, part)["hidden1"]
        assert tree.digest(after) == tree.digest(before)


@pytest.mark.slow
def test_devices_that_share_parameters_train_the_same() -> None:
    def trained(count: int, **changes: Any) -> Any:
        there = prepare(finetuning(batch_size=32, ema=0.9, **changes), devices=devices(count))
        state, _ = there.program.epoch(there.program.begin(), place(there.splits.train, there.mesh))
        return jax.device_get(state)

    assert_trees_close(trained(8, layout=fully_sharded(smallest=1)), trained(1), rtol=1e-4, atol=1e-4)


def test_frozen_parameters_have_no_bytes_of_optimizer_state() -> None:
    def bytes_of(**changes: Any) -> int:
        made = finetuning(rates=(), **changes)
        state = jax.eval_shape(partial(init_state, made, jnp.ones((1, 8, 8, 1)), steps=1))
        return tree.size_in_bytes(state.opt)

    assert bytes_of(freeze=()) - bytes_of() == 2 * 4 * (64 * 16 + 16)  # two moments of float32 for each number


def test_the_backward_pass_of_frozen_layers_is_gone() -> None:
    sizes = (64 * 512, 512 * 512, 512 * 10)

    def flops(**changes: Any) -> float:
        wide = finetuning(model=quick(MLP(hidden=(512, 512), classes=10)), rates=(), **changes)
        call = training_call(prepare(wide, devices=devices()), single=True)
        cost: Any = call.function.lower(*call.arguments).compile().cost_analysis()
        return cost["flops"]

    forward, head = sum(sizes), sizes[-1]
    assert flops(freeze="hidden./.*") == pytest.approx(2 * 64 * (forward + head), rel=0.05)
    assert flops(freeze=()) > 2 * 64 * (3 * forward - sizes[0])


def test_layers_learn_at_rates_that_fall_with_their_depth() -> None:
    parts = ("hidden1/.*", "hidden2/.*", "logits/.*")
    made = finetuning(freeze=(), rates=layerwise_rates(parts, decay=0.5), optimizer=lambda steps: optim.sgd(1.0))
    params = first_state(made, batch(64)).params
    optimizer, ones = made.transformation(1), jax.tree.map(jnp.ones_like, params)
    updates, _ = optimizer.update(ones, optimizer.init(params), params)
    found = {
        name: {float(x) for leaf in jax.tree.leaves(part) for x in np.ravel(leaf)} for name, part in updates.items()
    }
    assert found == {"hidden1": {-0.25}, "hidden2": {-0.5}, "logits": {-1.0}}


PARAMS = {"stem": {"kernel": 1.0}, "logits": {"kernel": 2.0, "bias": 3.0}}


def test_parts_come_together_again() -> None:
    part = learned(PARAMS, ["stem/.*", ".*/bias"])
    assert tree.names(part) == ["logits/kernel"]
    assert joined(PARAMS, jax.tree.map(lambda x: 10 * x, part)) == {**PARAMS, "logits": {"kernel": 20.0, "bias": 3.0}}
    assert learned(PARAMS, ()) is PARAMS


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["body/.*", "stem/.*"], "every rule of freeze must match a parameter, but ['body/.*'] match none of ["),
        (["stem"], "every rule of freeze must match a parameter, but ['stem'] match none"),
        ([".*"], "freeze must leave a parameter that learns, but ['.*'] match all of"),
    ],
)
def test_rules_that_freeze_nothing_or_everything_are_refused(rules: Any, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        learned(PARAMS, rules)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ((("logits/.*", 1.0),), "every leaf must match a rule of"),
        ((("hidden1/.*", 0.1), (".*", 1.0)), "every rule must match a leaf, but ['hidden1/.*'] match none of"),
    ],
)
def test_rates_must_cover_what_learns_and_nothing_else(rates: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        jax.eval_shape(make_train_step(finetuning(rates=rates), mesh(), steps=1), *_abstract(rates))


def _abstract(rates: Any) -> Any:
    given = batch(64)
    made = finetuning(rates=())
    state = jax.eval_shape(partial(init_state, made, given["image"], steps=1))
    return state._replace(opt=(state.opt, optax.EmptyState())), given
