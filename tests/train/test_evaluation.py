"""Evaluation of a model and its parameters, without a recipe, an optimizer or a training state."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import metrics
from fjdl.data.source import from_arrays
from fjdl.errors import DataError, UsageError
from fjdl.model import Model
from fjdl.train import evaluate
from fjdl.train.evaluation import Evaluator, evaluator
from fjdl.train.resident import place
from fjdl.train.tasks import classification, regression
from tests.train.toy import mesh

COUNT = 13
X = np.random.default_rng(0).standard_normal((COUNT, 3)).astype(np.float32)
TARGET = (X @ [1.0, -2.0, 0.5] + 0.1).astype(np.float32)
DATA = from_arrays({"x": X, "target": TARGET})
LINE = Model(lambda key, x: ({}, {}), lambda params, stats, x, **_: (x @ params["w"] + stats["shift"], stats))
PARAMS, STATS = {"w": jnp.array([1.0, -1.0, 0.0])}, {"shift": jnp.array(0.25)}
ERRORS = X @ [1.0, -1.0, 0.0] + 0.25 - TARGET
TASK = regression()


def inputs(batch: Any) -> Any:
    return batch["x"]


@pytest.mark.parametrize(
    ("count", "batch_size", "streamed"),
    [
        *[(4, 4, False), (1, 4, True), (1, 100, True)],
        *[pytest.param(*row, marks=pytest.mark.slow) for row in [(1, 4, False), (1, 100, False), (4, 4, True)]],
    ],
)
def test_every_example_counts_once(count: int, batch_size: int, streamed: bool) -> None:
    results = evaluate(
        LINE, TASK.metrics, PARAMS, STATS, DATA._replace(streamed=streamed),
        inputs=inputs, loss=TASK.loss, batch_size=batch_size, mesh=mesh(count),
    )  # fmt: skip
    assert results.keys() == {"rmse", "mae", "r2", "loss"}
    np.testing.assert_allclose(results["loss"], np.square(ERRORS).mean(), rtol=1e-5)
    np.testing.assert_allclose(results["mae"], np.abs(ERRORS).mean(), rtol=1e-5)
    np.testing.assert_allclose(results["rmse"], np.sqrt(np.square(ERRORS).mean()), rtol=1e-5)


def test_a_loss_is_not_needed() -> None:
    mae = {"mae": TASK.metrics["mae"]}
    results = evaluate(LINE, mae, PARAMS, STATS, DATA, inputs=inputs, mesh=mesh())
    assert results.keys() == {"mae"}
    np.testing.assert_allclose(results["mae"], np.abs(ERRORS).mean(), rtol=1e-5)


def made() -> Evaluator:
    return evaluator(LINE, TASK.metrics, inputs=inputs, loss=TASK.loss, batch_size=4, mesh=mesh())


def test_one_evaluator_serves_other_parameters_and_sources_without_compiling_again() -> None:
    compiled = made()
    measured = compiled.on(DATA)
    first, second = measured(PARAMS, STATS), measured({"w": jnp.array([1.0, -2.0, 0.5])}, {"shift": jnp.array(0.1)})
    assert float(first["loss"]) > 0.1 > 1e-10 > float(second["loss"])
    compiled.on(from_arrays({"x": 2 * X, "target": TARGET}))(PARAMS, STATS)
    assert compiled.whole._cache_size() == 1  # type: ignore[attr-defined]


def test_metrics_and_inputs_see_the_reserved_entries() -> None:
    def number(outputs: Any, batch: Any) -> Any:
        del outputs
        return (1.0 * batch["index"] + 100 * batch["epoch"],)

    most = {"mean": metrics.on(metrics.mean(), number)}
    for streamed in (False, True):
        source = DATA._replace(streamed=streamed)
        results = evaluate(
            LINE, most, PARAMS, STATS, source, inputs=lambda batch: batch["x"] + 0 * batch["index"][:, None],
            batch_size=4, mesh=mesh(),
        )  # fmt: skip
        assert float(results["mean"]) == (COUNT - 1) / 2


def test_predictions_are_those_of_every_example_in_order_whatever_the_outputs_are() -> None:
    twice = Model(LINE.init, lambda p, s, x, **_: ({"a": LINE.apply(p, s, x)[0], "b": (x, x[:, :1])}, s))
    compiled = evaluator(twice, {}, inputs=inputs, batch_size=4, mesh=mesh())
    found = compiled.predict(PARAMS, STATS, DATA)
    np.testing.assert_allclose(found["a"], ERRORS + TARGET, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["b"][0], X)
    np.testing.assert_array_equal(found["b"][1], X[:, :1])
    signs = compiled.predict(PARAMS, STATS, DATA, answer=lambda outputs: outputs["a"] > 0)
    np.testing.assert_array_equal(signs, ERRORS + TARGET > 0)
    with pytest.raises(UsageError, match="must fit on the device"):
        compiled.predict(PARAMS, STATS, DATA._replace(streamed=True))


def test_bfloat16_is_the_dtype_of_what_the_model_sees() -> None:
    seen = []

    def apply(params: Any, stats: Any, x: Any, **_: Any) -> Any:
        seen.append(x.dtype)
        return LINE.apply(params, stats, x)

    half = evaluator(Model(LINE.init, apply), {}, inputs=inputs, precision="bfloat16", mesh=mesh())
    jax.eval_shape(half.whole, PARAMS, STATS, {"x": X})
    assert seen == [jnp.bfloat16]


def test_a_streamed_example_that_breaks_a_rule_of_the_loss_is_named() -> None:
    spoilt = from_arrays({"x": X, "target": np.where(np.arange(COUNT) == 7, np.nan, TARGET)})._replace(streamed=True)
    with pytest.raises(DataError, match=r"^validation part, row 7: target must be finite, got nan$"):
        made().on(spoilt, part="validation")(PARAMS, STATS)


def test_examples_are_counted_and_not_added_up_as_weights() -> None:
    """Sums of real weights are folded by halves, which devices that share a batch do by sending one another rows."""
    task = classification(3)
    network = Model(lambda key, x: ({}, {}), lambda params, stats, x, **_: (x * params["w"][None], stats))
    examples, labels = np.random.default_rng(0).standard_normal((300, 3)).astype(np.float32), np.arange(300) % 3
    source = from_arrays({"x": examples, "label": labels.astype(np.int32)})
    made = evaluator(network, task.metrics, inputs=inputs, loss=task.loss, batch_size=128, mesh=mesh(4))
    arrays = place(source, made.mesh)
    text = made.whole.lower({"w": jnp.ones(3)}, {}, arrays).as_text()  # type: ignore[attr-defined]
    assert "_fold" not in text
    results = made.whole({"w": jnp.ones(3)}, {}, arrays)
    assert float(results["accuracy"]) == np.float32((examples.argmax(-1) == labels).mean())
    assert int(results["confusion"].sum()) == 300
