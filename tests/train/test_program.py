from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from fjdl.data.batches import epoch_indices, take
from fjdl.data.embedded import digits
from fjdl.data.source import Splits, from_arrays, to_arrays
from fjdl.models import MLP, LogisticRegression
from fjdl.optim import sgd
from fjdl.train.program import EpochReport, Program
from fjdl.train.resident import place
from fjdl.train.state import TrainState
from fjdl.train.step import make_train_step
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.toy import Centred, mesh, noise, program, quick, recipe, source, splits, spoilt

COUNTERS = ("bad", "last_bad_step", "worst_streak")


@cache
def usual() -> Program:
    return program(recipe())


@cache
def at_rest() -> Program:
    """Softmax regression that learns nothing."""
    return program(recipe(model=quick(LogisticRegression(10)), optimizer=lambda steps: sgd(0.0)))


def epochs(compiled: Program, count: int, *, data: Splits | None = None) -> tuple[TrainState, list[EpochReport]]:
    train, state, reports = place((data or splits()).train, mesh()), compiled.init(), []
    for _ in range(count):
        state, report = compiled.epoch(state, train)
        reports.append(jax.device_get(report))
    return state, reports


def order(epoch: int, *, length: int = 100, batch_size: int = 32, seed: int = 0) -> tuple[Any, Any]:
    key = jax.random.fold_in(jax.random.key(seed), 1)
    return epoch_indices(key, epoch, length=length, batch_size=batch_size)


@pytest.mark.by_day_on_pin(1)
def test_an_epoch_is_its_steps_one_after_the_other() -> None:
    made = recipe(model=quick(MLP(hidden=(16,), classes=10, dropout=0.3)), augment=noise, ema=0.9)
    compiled = program(made)
    after, reports = epochs(compiled, 2)
    arrays, state = to_arrays(splits().train), compiled.init()
    step = jax.jit(make_train_step(made, mesh(), steps=12))
    for epoch, report in enumerate(reports):
        told = []
        for indices, mask in zip(*order(epoch), strict=True):
            state, one = step(state, {**take(arrays, indices), "example_mask": mask})
            told.append(one)
        loss = sum(float(one.loss) for one in told) / 100
        np.testing.assert_allclose(report.loss, loss, rtol=1e-5)
        np.testing.assert_allclose(report.gradient_norm, max(float(one.gradient_norm) for one in told), rtol=1e-5)
        assert [int(one.examples) for one in told] == [32, 32, 32, 4]
    assert_trees_close(after, state, rtol=1e-6, atol=1e-6)
    assert (int(after.step), compiled.steps_per_epoch) == (8, 4)


def test_the_loss_of_an_epoch_is_the_mean_over_its_examples_not_over_its_batches() -> None:
    state, (report,) = epochs(at_rest(), 1)
    arrays = to_arrays(splits().train)
    params = at_rest().init().params["logits"]
    logits = arrays["image"].reshape(100, 64) @ params["kernel"] + params["bias"][None]
    expected = torch.nn.functional.cross_entropy(torch.tensor(np.array(logits)), torch.tensor(arrays["label"]).long())
    np.testing.assert_allclose(report.loss, expected, rtol=1e-5)
    assert digest(state.params) == digest(at_rest().init().params)


def test_nothing_compiles_twice() -> None:
    traces = []

    def loss(logits: Any, batch: Any) -> Any:
        traces.append(logits.shape)
        return recipe().loss(logits, batch)

    compiled = program(recipe(loss=loss, patience=2))
    train, validation = place(splits().train, mesh()), place(splits().validation, mesh())
    state = compiled.init()
    for _ in range(3):
        state, _ = compiled.epoch(state, train)
        results = compiled.evaluate(state, validation)
        state = compiled.remember(state, results["accuracy"])
    functions = (compiled.init, compiled.epoch, compiled.evaluator.whole, compiled.remember)
    assert [function._cache_size() for function in functions] == [1, 1, 1, 1]
    assert set(traces) == {(32, 10), (60, 10)}


def test_examples_stay_in_their_own_dtype_on_every_device() -> None:
    placed = place(digits().test, mesh(2))
    assert {name: (array.dtype, len(array.devices())) for name, array in placed.rows.items()} == {
        "image": (jnp.uint8, 2),
        "label": (jnp.int32, 2),
    }


@cache
def evaluating(count: int) -> Program:
    return program(recipe(model=quick(LogisticRegression(10)), batch_size=24), count=count)


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("length", [5, 8, 60, 150])
def test_evaluation_counts_every_example_exactly_once(length: int, count: int) -> None:
    compiled = evaluating(count)
    part = source(200, length)
    state = compiled.init()
    results = compiled.evaluate(state, place(part, mesh(count)))
    arrays = to_arrays(part)
    params = state.params["logits"]
    logits = np.asarray(arrays["image"].reshape(length, 64) @ np.asarray(params["kernel"]) + np.asarray(params["bias"]))
    expected = confusion_matrix(arrays["label"], logits.argmax(axis=1), labels=range(10))
    np.testing.assert_array_equal(results["confusion"], expected)
    np.testing.assert_allclose(results["accuracy"], np.trace(expected) / length, rtol=1e-6)
    loss = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(arrays["label"]).long())
    np.testing.assert_allclose(results["loss"], loss, rtol=1e-5)


def test_evaluation_sees_the_average_of_the_parameters_where_there_is_one() -> None:
    averaged, plain = program(recipe(ema=0.9)), usual()
    validation = place(splits().validation, mesh())
    state = averaged.init()
    state = state._replace(ema=jax.tree.map(lambda p: p + 0.05, state.ema))
    expected = plain.evaluate(plain.init()._replace(params=state.ema), validation)
    assert_trees_close(averaged.evaluate(state, validation), expected)
    other = plain.evaluate(plain.init(), validation)
    assert float(expected["loss"]) != float(other["loss"])


def test_training_moves_statistics_and_evaluation_uses_and_leaves_them() -> None:
    compiled = program(recipe(model=quick(Centred())))
    state, _ = epochs(compiled, 1)
    mean = np.zeros(64)
    images = to_arrays(splits().train)["image"].reshape(100, 64)
    for indices in np.asarray(order(0)[0]):
        mean = 0.9 * mean + 0.1 * images[indices].mean(axis=0)
    np.testing.assert_allclose(state.stats["batch_stats"]["mean"], mean, rtol=1e-5, atol=1e-6)
    before = digest(state)
    results = compiled.evaluate(state, place(splits().validation, mesh()))
    assert digest(state) == before
    arrays, params = to_arrays(splits().validation), state.params["logits"]
    logits = (arrays["image"].reshape(60, 64) - mean) @ np.asarray(params["kernel"]) + np.asarray(params["bias"])
    np.testing.assert_allclose(results["accuracy"], (logits.argmax(1) == arrays["label"]).mean(), rtol=1e-6)


def test_a_bad_example_costs_its_step_in_every_epoch_and_the_report_names_it() -> None:
    example = 17
    data = spoilt(example)
    state, reports = epochs(usual(), 3, data=data)
    where = [int(np.argwhere((np.asarray(i) == example) & (np.asarray(m) != 0))[0, 0]) for i, m in map(order, range(3))]
    assert [tuple(int(getattr(report, name)) for name in COUNTERS) for report in reports] == [
        (1, 4 * epoch + row, 1) for epoch, row in enumerate(where)
    ]
    assert (int(state.skipped), int(state.step)) == (3, 12)
    assert all(np.isfinite(report.loss) and report.gradient_norm > 0 for report in reports)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


def test_the_loss_of_an_epoch_leaves_refused_steps_out() -> None:
    _, (report,) = epochs(at_rest(), 1, data=spoilt(17))
    rows, masks = (np.asarray(part) for part in order(0))
    arrays = to_arrays(splits().train)
    kept = [index for row, mask in zip(rows, masks, strict=True) if 17 not in row for index in row[mask != 0]]
    part = from_arrays({name: array[kept] for name, array in arrays.items()})
    results = at_rest().evaluate(at_rest().init(), place(part, mesh()))
    np.testing.assert_allclose(report.loss, results["loss"], rtol=1e-5)


def test_a_streak_goes_on_over_the_end_of_an_epoch() -> None:
    arrays = {name: np.array(array) for name, array in to_arrays(source(0, 100)).items()}
    arrays["image"][:] = np.nan
    state, reports = epochs(usual(), 2, data=splits(from_arrays(arrays)))
    assert [tuple(int(getattr(report, name)) for name in COUNTERS) for report in reports] == [(4, 3, 4), (4, 7, 8)]
    assert [float(report.gradient_norm) for report in reports] == [0, 0]
    assert all(np.isnan(report.loss) for report in reports)
    assert (int(state.streak), int(state.skipped)) == (8, 8)


def test_a_good_epoch_reports_no_bad_step() -> None:
    _, (report,) = epochs(usual(), 1)
    assert [int(getattr(report, name)) for name in COUNTERS] == [0, -1, 0]


def test_another_seed_gives_another_order_and_each_epoch_its_own() -> None:
    rows = [np.asarray(order(epoch, seed=seed)[0]).ravel()[:100].tolist() for epoch, seed in ((0, 0), (1, 0), (0, 1))]
    assert rows[0] != rows[1]
    assert rows[0] != rows[2]
    assert all(sorted(row) == list(range(100)) for row in rows)


@pytest.mark.by_day_on_pin(1)
def test_a_source_of_one_example_trains_and_is_measured() -> None:
    one = source(0, 1)
    compiled = program(recipe(), data=splits(one))
    state, (report,) = epochs(compiled, 1, data=splits(one))
    assert (compiled.steps_per_epoch, int(state.step)) == (1, 1)
    assert np.isfinite(report.loss)
    assert int(compiled.evaluate(state, place(one, mesh()))["confusion"].sum()) == 1
