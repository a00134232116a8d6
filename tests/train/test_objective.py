"""What a training step minimizes: the values and functions that transformations ask for, and penalties."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.linear_model import ElasticNet, LogisticRegression as Peer

from fjdl import optim, tree
from fjdl.data.embedded import iris, standardize
from fjdl.data.source import Splits, from_arrays, to_arrays
from fjdl.losses import penalties
from fjdl.models import MLP, LogisticRegression
from fjdl.nn import Model, pure
from fjdl.schedules import linear
from fjdl.train import Recipe, fit
from fjdl.train.json_files import read_jsonl
from fjdl.train.step import make_train_step
from fjdl.train.tasks import classification, regression
from tests.support import assert_trees_close
from tests.train.toy import batch, devices, first_state, mesh, program, quick, recipe

STRENGTH = 0.01


@cache
def flowers() -> tuple[Splits, np.ndarray, np.ndarray]:
    """The training part of iris in every part, with its features and labels."""
    data = standardize(iris())
    arrays = to_arrays(data.train)
    whole = Splits(name="iris", train=data.train, validation=data.train, test=data.train, classes=data.classes)
    return whole, arrays["features"], arrays["label"]


def softmax_regression(optimizer: Any, **changes: Any) -> Recipe:
    """Softmax regression of iris with an L2 penalty, each step on the whole data set."""
    task = classification(3)
    settings: dict[str, Any] = {
        "splits": lambda: flowers()[0],
        "model": pure(LogisticRegression(3)),
        "inputs": lambda batch: batch["features"],
        "loss": task.loss,
        "metrics": task.metrics,
        "optimizer": lambda steps: optimizer,
        "penalty": partial(penalties.l2, strength=STRENGTH),
        "epochs": 10,
        "batch_size": len(flowers()[2]),
        "save_every": 100,
        "monitor": "loss",
        "mode": "max",  # so that the first epoch is the best and the others are not saved
    }
    return Recipe(**{**settings, **changes})


def train(made: Recipe, path: Path) -> tuple[Any, list[dict[str, Any]]]:
    path.mkdir(exist_ok=True)
    state = fit(made, path, devices=devices())
    return jax.device_get(state), read_jsonl(path / "metrics.jsonl")


@cache
def minimum() -> tuple[np.ndarray, np.ndarray, float]:
    """Kernel, bias and value of scikit-learn's minimum of the same objective."""
    _, features, labels = flowers()
    peer = Peer(C=1 / (2 * STRENGTH * len(labels)), tol=1e-10, max_iter=10000).fit(features, labels)
    value = objective(peer.coef_.T, peer.intercept_)
    return peer.coef_.T, peer.intercept_, value


def probabilities(kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    logits = flowers()[1].astype(np.float64) @ kernel + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def objective(kernel: np.ndarray, bias: np.ndarray) -> float:
    labels = flowers()[2]
    return -np.log(probabilities(kernel, bias)[np.arange(len(labels)), labels]).mean() + STRENGTH * np.sum(kernel**2)


def gradient(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, features, labels = flowers()
    error = (probabilities(kernel, bias) - np.eye(3)[labels]) / len(labels)
    return features.T @ error + 2 * STRENGTH * kernel, error.sum(axis=0)


SECOND_ORDER = {
    "lbfgs": lambda: optim.lbfgs(),
    "lbfgs of optax": lambda: optax.lbfgs(),
    "newton": lambda: optim.newton(),
    "newton with a line search": lambda: optim.chain(
        optim.scale_by_newton(damping=1e-3), optax.scale(-1.0), optim.scale_by_backtracking()
    ),
}


@pytest.mark.parametrize(
    ("name", "accumulate"),
    [
        ("lbfgs", 1),
        ("lbfgs", 3),
        ("newton", 1),
        pytest.param("lbfgs of optax", 1, marks=pytest.mark.slow),
        pytest.param("newton with a line search", 1, marks=pytest.mark.slow),
    ],
)
def test_methods_that_evaluate_the_loss_find_the_minimum_of_scikit_learn(
    name: str, accumulate: int, tmp_path: Path
) -> None:
    made = softmax_regression(SECOND_ORDER[name](), epochs=25 if "lbfgs" in name else 10, accumulate=accumulate)
    state, records = train(made, tmp_path)
    kernel, bias, least = minimum()
    found = state.params["logits"]
    np.testing.assert_allclose(found["kernel"], kernel, atol=4e-3)
    np.testing.assert_allclose(found["bias"] - found["bias"].mean(), bias - bias.mean(), atol=4e-3)
    assert objective(found["kernel"], found["bias"]) == pytest.approx(least, rel=1e-6)
    assert records[-1]["train_loss"] + records[-1]["train_penalty"] == pytest.approx(least, rel=1e-5)
    assert [record["train_bad"] for record in records] == [0] * len(records)


@pytest.mark.by_day_on_pin(1)
def test_a_line_search_keeps_steps_from_going_uphill(tmp_path: Path) -> None:
    """Without it the same rate goes up in most steps."""
    wild = optim.sgd(50.0)
    _, searched = train(softmax_regression(optim.chain(wild, optim.scale_by_backtracking())), tmp_path / "a")
    _, plain = train(softmax_regression(wild), tmp_path / "b")
    values, others = (np.array([r["train_loss"] + r["train_penalty"] for r in run]) for run in (searched, plain))
    assert (np.diff(values) < 1e-6).all()
    assert values[-1] < 1.1 * minimum()[2]
    assert others.max() > 10 * others[0]


@pytest.mark.parametrize("rho", [0.05, 1.0])
def test_a_sharpness_aware_step_is_the_gradient_at_the_worst_point_near_by(rho: float, tmp_path: Path) -> None:
    state, _ = train(softmax_regression(optim.sharpness_aware(optim.sgd(0.5), rho=rho), epochs=2), tmp_path)
    kernel, bias = np.zeros((4, 3)), np.zeros(3)
    for _ in range(2):
        slopes = gradient(kernel, bias)
        norm = np.sqrt(sum(np.sum(slope**2) for slope in slopes))
        worst = gradient(*(w + rho * slope / norm for w, slope in zip((kernel, bias), slopes, strict=True)))
        kernel, bias = kernel - 0.5 * worst[0], bias - 0.5 * worst[1]
    np.testing.assert_allclose(state.params["logits"]["kernel"], kernel, atol=1e-5)
    np.testing.assert_allclose(state.params["logits"]["bias"], bias, atol=1e-5)


@pytest.mark.by_day_on_pin(1)
def test_a_plateau_of_the_loss_lowers_the_rate(tmp_path: Path) -> None:
    """The value is that of the objective: log 3 at parameters that a rate of 0 leaves at 0."""
    optimizer = optax.chain(optim.sgd(0.0), optim.reduce_on_plateau(factor=0.5, patience=1))
    state, _ = train(softmax_regression(optimizer, epochs=6), tmp_path)
    plateau = state.opt[1]
    np.testing.assert_allclose(plateau.best, np.log(3), rtol=1e-6)
    assert (float(plateau.scale), int(plateau.bad)) == (0.25, 1)


def spy(seen: dict[str, Any]) -> optax.GradientTransformationExtraArgs:
    """Plain descent that keeps in its state what it was given."""

    def update(
        gradients: Any, state: Any, params: Any, *, value: Any, grad: Any, value_fn: Any, grad_fn: Any, weight: Any
    ):
        del state
        told = {
            "value": value,
            "grad": grad,
            "again": value_fn(params),
            "grad again": grad_fn(params),
            "weight": weight,
        }
        seen.update(slope=jax.grad(value_fn)(params))
        return jax.tree.map(jnp.negative, gradients), {**told, "slope": seen["slope"]}

    def init(params: Any) -> Any:
        zero = jnp.zeros(())
        names = {"value": zero, "again": zero, "weight": zero}
        return {**names, "grad": params, "grad again": params, "slope": params}

    return optax.GradientTransformationExtraArgs(init, update)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_value_and_functions_belong_to_the_gradient_of_the_same_batch_with_the_same_random_numbers(
    accumulate: int,
) -> None:
    made = recipe(
        model=quick(MLP(hidden=(16,), classes=10, dropout=0.5)),
        optimizer=lambda steps: spy({}),
        penalty=partial(penalties.elastic_net, l1=1e-3, l2=1e-2),
        accumulate=accumulate,
    )
    given = batch(32, mask=np.arange(32) < 20)
    before = first_state(made, given)
    state, report = jax.jit(make_train_step(made, mesh(), steps=1))(before, given)
    told = state.opt
    expected = report.loss / 20 + report.penalty
    np.testing.assert_allclose([told["value"], told["again"]], [expected, expected], rtol=1e-6)
    assert told["weight"] == report.examples == 20
    for name in ("grad again", "slope"):
        assert_trees_close(told[name], told["grad"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(report.gradient_norm, tree.global_norm(told["grad"]), rtol=1e-6)
    moved = jax.tree.map(lambda w, g: w - g, before.params, told["grad"])
    assert_trees_close(state.params, moved, rtol=1e-6)


def counted_applications(optimizer: Any, **changes: Any) -> int:
    """How often a training step goes through the model."""
    model, calls = quick(LogisticRegression(10)), []

    def apply(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return model.apply(*args, **options)

    made = recipe(model=Model(model.init, apply), optimizer=lambda steps: optimizer, **changes)
    given = batch(32)
    state = jax.eval_shape(partial(first_state, made), given)
    calls.clear()
    jax.eval_shape(make_train_step(made, mesh(), steps=1), state, given)
    return len(calls)


def test_who_asks_for_nothing_pays_for_nothing() -> None:
    plain = counted_applications(optim.adam(1e-3))
    assert plain == 1
    assert counted_applications(optax.chain(optim.sgd(0.1), optim.reduce_on_plateau())) == plain
    assert counted_applications(optim.sharpness_aware(optim.sgd(0.1))) == 2 * plain


@pytest.mark.by_day_on_pin(1)
def test_gradients_that_wait_are_weighed_by_their_examples() -> None:
    """Batches of 32 and of 8 examples give the step of the 40 together."""
    made = recipe(optimizer=lambda steps: optim.accumulate_gradients(optim.sgd(1.0), every=2))
    both = batch(40)
    first = {name: array[:32] for name, array in both.items()}
    last = {name: jnp.concatenate([array[32:], array[:24]]) for name, array in both.items()}
    last["example_mask"] = jnp.asarray(np.arange(32) < 8, jnp.float32)
    step = jax.jit(make_train_step(made, mesh(), steps=2))
    state, _ = step(first_state(made, both), first)
    state, _ = step(state, last)
    whole = recipe(optimizer=lambda steps: optim.sgd(1.0))
    expected, _ = jax.jit(make_train_step(whole, mesh(), steps=1))(first_state(whole, both), both)
    assert_trees_close(state.params, expected.params, rtol=1e-5, atol=1e-6)


@pytest.mark.by_day_on_pin(0)
def test_an_elastic_net_has_the_coefficients_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 4)).astype(np.float32)
    target = (features @ np.float32([2.0, -1.0, 0.05, 0.0]) + 3 + 0.1 * rng.standard_normal(60)).astype(np.float32)
    data = from_arrays({"features": features, "target": target})
    parts = Splits(name="line", train=data, validation=data, test=data, classes=())
    alpha, share = 0.2, 0.7
    made = Recipe(
        splits=lambda: parts,
        model=pure(LogisticRegression(1)),
        inputs=lambda batch: batch["features"],
        **regression()._asdict(),
        penalty=partial(penalties.elastic_net, l1=2 * alpha * share, l2=alpha * (1 - share)),
        optimizer=lambda steps: optim.sgd(linear(peak=0.2, steps=steps)),
        epochs=300,
        batch_size=60,
        monitor="loss",
        mode="min",
    )
    compiled = program(made)
    arrays = {name: jnp.asarray(array) for name, array in to_arrays(data).items()}
    state = compiled.init()
    for _ in range(made.epochs):
        state, report = compiled.epoch(state, arrays)
    peer = ElasticNet(alpha=alpha, l1_ratio=share).fit(features, target)
    assert peer.coef_[2] == peer.coef_[3] == 0
    np.testing.assert_allclose(state.params["logits"]["kernel"][:, 0], peer.coef_, atol=2e-3)
    np.testing.assert_allclose(state.params["logits"]["bias"][0], peer.intercept_, atol=2e-3)
    results = compiled.evaluate(state, arrays)
    error = np.mean((peer.predict(features) - target) ** 2)
    np.testing.assert_allclose([results["loss"], results["rmse"] ** 2], error, rtol=5e-3)
    np.testing.assert_allclose(results["r2"], peer.score(features, target), rtol=1e-3)
    size = 2 * alpha * share * np.abs(peer.coef_).sum() + alpha * (1 - share) * np.sum(peer.coef_**2)
    np.testing.assert_allclose(report.penalty, size, rtol=5e-3)


@pytest.mark.by_day_on_pin(0)
def test_the_penalty_is_recorded_apart_from_the_loss_of_the_data(tmp_path: Path) -> None:
    settings = {"epochs": 1, "model": quick(LogisticRegression(3))}
    state, (record,) = train(softmax_regression(optim.sgd(0.0), **settings), tmp_path / "a")
    kernel, bias = (np.float64(state.params["logits"][name]) for name in ("kernel", "bias"))
    size = STRENGTH * np.sum(kernel**2)
    np.testing.assert_allclose(record["train_penalty"], size, rtol=1e-5)
    np.testing.assert_allclose(record["train_loss"], objective(kernel, bias) - size, rtol=1e-5)
    np.testing.assert_allclose(record["validation_loss"], objective(kernel, bias) - size, rtol=1e-5)
    _, (plain,) = train(softmax_regression(optim.sgd(0.0), **settings, penalty=None), tmp_path / "b")
    assert "train_penalty" not in plain
    assert plain["train_loss"] == record["train_loss"]
