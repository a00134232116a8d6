"""State that goes from batch to batch, and batches of several widths, through the one trainer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import metrics
from fjdl.data.orders import buckets, lanes
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.errors import UsageError
from fjdl.model import Model
from fjdl.optim import sgd
from fjdl.signals import StopRequest
from fjdl.train import Recipe, fit
from fjdl.train.evaluation import evaluate, evaluator
from fjdl.train.feed import epochs
from fjdl.train.pace import Pace
from fjdl.train.program import Program, compile_program
from fjdl.train.state import TrainState
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.toy import mesh

WINDOWS, WIDTH = 4, 3
TOKENS = np.random.default_rng(0).integers(1, 9, (6 * WINDOWS, WIDTH)).astype(np.int32)  # in 6 lanes


def summing() -> Model:
    """Gives, and carries, the sum of all tokens of a sequence up to each; its one parameter scales what it gives."""

    def apply(params: Any, stats: Any, inputs: Any, **_: Any) -> tuple[Any, Any]:
        tokens, carry = inputs
        sums = carry[:, None] + jnp.cumsum(tokens, axis=1)
        return (params["scale"] * sums, sums[:, -1]), stats

    return Model(lambda key, inputs: ({"scale": jnp.ones(())}, {}), apply)


def up_to_each(lanes: int = 6) -> np.ndarray:
    """The sums, by NumPy."""
    return np.cumsum(TOKENS.reshape(lanes, -1), axis=1).reshape(TOKENS.shape).astype(np.float32)


def made(*, streamed: bool = False, **changes: Any) -> Recipe:
    source = from_arrays({"tokens": TOKENS, "target": up_to_each() / 100})
    part = Source(source.length, source.element, streamed)
    settings: dict[str, Any] = {
        "splits": lambda: Splits(name="sums", train=part, validation=part, test=part, classes=()),
        "model": summing(),
        "inputs": lambda batch: batch["tokens"].astype(jnp.float32),
        "loss": lambda outputs, batch: jnp.square(outputs / 100 - batch["target"]),
        "metrics": {"mean": metrics.on(metrics.mean(), lambda outputs, batch: (outputs,))},
        "optimizer": lambda steps: sgd(0.01),
        "epochs": 2,
        "batch_size": 6,
        "order": lanes(6),
        "evaluation_order": lanes(6),
        "carry": lambda examples: jnp.zeros(examples),
        "monitor": "loss",
        "mode": "min",
    }
    return Recipe(**{**settings, **changes})


def trained(recipe: Recipe, *, devices: int = 1, count: int = 1) -> tuple[TrainState, Program, Any]:
    train, on = recipe.splits().train, mesh(devices)
    program = compile_program(recipe, on, examples=train.length, example=train.element(0))
    epoch, state, tally = epochs(recipe, program, train, on), program.init(), program.single.start()
    report, done = None, 0
    for _ in range(count):
        state, tally, done, report = epoch(state, tally, done, Pace(StopRequest()))
    return state, program, report


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("batch_size", "devices", "accumulate"),
    [
        (6, 2, 1),
        (4, 1, 2),
        pytest.param(6, 1, 1, marks=pytest.mark.slow),
        pytest.param(6, 1, 3, marks=pytest.mark.slow),
        pytest.param(2, 2, 1, marks=pytest.mark.slow),
    ],
)
def test_training_carries_the_state_of_each_lane_on(
    streamed: bool, batch_size: int, devices: int, accumulate: int
) -> None:
    recipe = made(streamed=streamed, batch_size=batch_size, accumulate=accumulate)
    state, _, report = trained(recipe, devices=devices)
    last = up_to_each().reshape(6, -1)[:, -1]
    held = np.resize(last, 6 + batch_size)[(6 - 1) // batch_size * batch_size :][:batch_size]  # of the last lanes
    np.testing.assert_array_equal(state.carry, held)
    assert float(state.params["scale"]) == 1.0  # its loss is 0 with the right carry alone
    assert float(report.loss) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("batch_size", "devices"),
    [
        *[(1, 1), (4, 2), (50, 1)],
        *[
            pytest.param(*pair, marks=pytest.mark.slow)
            for pair in [(2, 1), (4, 1), (6, 1), (1, 2), (2, 2), (6, 2), (50, 2)]
        ],
    ],
)
def test_evaluation_gives_the_same_whatever_the_batch(batch_size: int, devices: int) -> None:
    recipe = made()
    options: dict[str, Any] = {
        "order": lanes(6),
        "carry": recipe.carry,
        "mesh": mesh(devices),
        "batch_size": batch_size,
    }
    arguments = (recipe.model, recipe.metrics, {"scale": jnp.ones(())}, {}, recipe.splits().test)
    found = evaluate(*arguments, inputs=recipe.inputs, loss=recipe.loss, **options)
    np.testing.assert_allclose(found["mean"], up_to_each().mean(), rtol=1e-6)
    assert float(found["loss"]) < 1e-9
    model = evaluator(recipe.model, {}, inputs=recipe.inputs, **options)
    np.testing.assert_array_equal(model.predict({"scale": jnp.ones(())}, {}, recipe.splits().test), up_to_each())


def test_streamed_evaluation_carries_too() -> None:
    recipe = made(streamed=True)
    found = evaluate(
        recipe.model, recipe.metrics, {"scale": jnp.ones(())}, {}, recipe.splits().test,
        inputs=recipe.inputs, order=lanes(6), carry=recipe.carry, batch_size=4,
    )  # fmt: skip
    np.testing.assert_allclose(found["mean"], up_to_each().mean(), rtol=1e-6)


@pytest.mark.by_day_on_pin(0)
def test_each_epoch_begins_anew_and_a_finished_run_opens_with_its_carry(tmp_path: Any) -> None:
    once, _, _ = trained(made())
    twice, _, _ = trained(made(), count=2)
    assert_trees_close(once.carry, twice.carry, rtol=0)
    state = fit(made(), tmp_path, devices=jax.devices()[:1])
    again = fit(made(), tmp_path, devices=jax.devices()[:1])
    assert digest(state) == digest(again)
    np.testing.assert_array_equal(again.carry, up_to_each().reshape(6, -1)[:, -1])


def test_a_refused_step_leaves_the_carry_as_it_was() -> None:
    def loss(outputs: Any, batch: Any) -> Any:
        last = batch["index"] % WINDOWS == WINDOWS - 1
        return jnp.where(last[:, None], jnp.nan, outputs / 100 - batch["target"])

    state, _, report = trained(made(loss=loss))
    assert int(report.bad) == 1
    np.testing.assert_array_equal(state.carry, up_to_each().reshape(6, WINDOWS, WIDTH)[:, -2, -1])


def test_the_carry_keeps_its_dtype_in_half_precision() -> None:
    state, _, _ = trained(made(precision="bfloat16", carry=lambda examples: jnp.full(examples, 1001.0)))
    assert state.carry.dtype == jnp.float32
    assert np.all(np.asarray(state.carry) > 1001)


def test_a_carry_needs_orders_that_go_on() -> None:
    with pytest.raises(UsageError, match=r"a recipe with a carry must have an order and an evaluation_order"):
        made(order=made(carry=None, order=lanes(6)).order, evaluation_order=Recipe.evaluation_order)


RAGGED = np.array([1, 2, 8, 3, 7, 1, 5, 8, 2, 2], np.int32)


@pytest.mark.parametrize("streamed", [False, True])
def test_batches_of_several_widths_train_like_whole_ones(streamed: bool) -> None:
    def model() -> Model:
        return Model(
            lambda key, x: ({"slope": jnp.float32(0.5)}, {}),
            lambda p, s, x, **_: (p["slope"] * x, s),
        )

    seen = set()

    def loss(outputs: Any, batch: Any) -> Any:
        seen.add(outputs.shape)
        inside = jnp.arange(outputs.shape[1])[None] < batch["length"][:, None]
        return jnp.square(outputs - 2 * batch["x"]), inside.astype(jnp.float32)

    x = np.random.default_rng(1).standard_normal((10, 8)).astype(np.float32)
    source = from_arrays({"x": x, "length": RAGGED})
    part = Source(source.length, source.element, streamed)
    order = buckets(RAGGED, widths=(2, 4, 8), arrays=("x",))
    recipe = made(
        splits=lambda: Splits(name="ragged", train=part, validation=part, test=part, classes=()),
        model=model(), inputs=lambda batch: batch["x"], loss=loss, carry=None, order=order,
        batch_size=2, optimizer=lambda steps: sgd(0.05), metrics={},
    )  # fmt: skip
    state, program, report = trained(recipe)
    assert {(2, 2), (2, 4), (2, 8)} <= seen
    assert program.steps_per_epoch == 3 + 1 + 2
    slope, total, count = 0.5, 0.0, 0
    key = jax.random.fold_in(jax.random.key(0), 1)
    for indices, mask in zip(*map(np.asarray, order.rows(key, 0, length=10, batch_size=2)), strict=True):
        inside = (np.arange(8) < RAGGED[indices][:, None]) * mask[:, None]
        chosen = x[indices]
        total += float((inside * ((slope - 2) * chosen) ** 2).sum())
        count += inside.sum()
        slope -= 0.05 * (inside * 2 * (slope - 2) * chosen**2).sum() / inside.sum()
    np.testing.assert_allclose(state.params["slope"], slope, rtol=1e-5)
    np.testing.assert_allclose(report.loss, total / count, rtol=1e-5)
