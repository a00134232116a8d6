from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import optim
from fjdl.data.batches import take
from fjdl.models import MLP, LeNet5, LogisticRegression
from fjdl.nn import Model, pure
from fjdl.train.program import evaluator_of
from fjdl.train.state import TrainState
from fjdl.train.step import StepReport, make_train_step
from fjdl.tree import digest
from tests.support import assert_trees_close
from tests.train.toy import Centred, batch, counting, first_state, mesh, quick, random_params, recipe

SGD = {"optimizer": lambda steps: optim.sgd(1.0)}  # one step moves the parameters by the gradient
UNTOUCHED = ("params", "stats", "opt", "ema")


def one_step(made: Any, given: dict[str, Any], state: TrainState | None = None) -> tuple[TrainState, StepReport]:
    step = jax.jit(make_train_step(made, mesh(), steps=10))
    return step(first_state(made, given) if state is None else state, given)


MASKS = {
    "all": np.ones(64),
    "the first ten, so that most micro-batches are empty": np.arange(64) < 10,
    "one in the middle": np.arange(64) == 37,
    "unequal numbers": np.random.default_rng(5).random(64) < np.linspace(0, 1, 64),
}


@cache
def accumulating(parts: int) -> Callable[..., tuple[TrainState, StepReport]]:
    return jax.jit(make_train_step(recipe(**SGD, batch_size=64, accumulate=parts), mesh(), steps=10))


@pytest.mark.parametrize("parts", [2, 4, 8])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_micro_batches_give_the_step_of_the_whole_batch(mask: np.ndarray, parts: int) -> None:
    given = batch(64, mask=mask)
    start = first_state(recipe(**SGD), given)
    whole, expected = accumulating(1)(start, given)
    state, report = accumulating(parts)(start, given)
    assert_trees_close(state.params, whole.params, rtol=1e-6, atol=1e-6)
    assert_trees_close(report, expected, rtol=1e-6, atol=1e-6)
    assert report.examples == mask.sum()


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_gradient_is_the_mean_over_real_examples_only(accumulate: int) -> None:
    given = batch(32, mask=np.arange(32) < 11)
    made = recipe(**SGD, model=pure(LogisticRegression(10)), accumulate=accumulate)
    state, report = one_step(made, given)
    x = np.asarray(given["image"]).reshape(32, 64)[:11]
    error = 0.1 - np.eye(10)[np.asarray(given["label"])[:11]]
    np.testing.assert_allclose(state.params["logits"]["kernel"], -x.T @ error / 11, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.params["logits"]["bias"], -error.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((report.loss, report.examples), (11 * np.log(10), 11), rtol=1e-6)
    norm = np.sqrt(np.sum((x.T @ error / 11) ** 2) + np.sum(error.mean(axis=0) ** 2))
    np.testing.assert_allclose(report.gradient_norm, norm, rtol=1e-5)


class ChannelsLast(torch.nn.Module):
    """Flattens in our order of axes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def lenet() -> tuple[Model, tuple[int, int, int], Any]:
    nn = torch.nn
    return quick(LeNet5()), (28, 28, 1), nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2), ChannelsLast(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def mlp() -> tuple[Model, tuple[int, int, int], Any]:
    nn = torch.nn
    model = quick(MLP(hidden=(32, 16), classes=10))
    layers = nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10)
    return model, (8, 8, 1), nn.Sequential(ChannelsLast(), *layers)


def copy_into(network: Any, params: dict[str, dict[str, np.ndarray]]) -> None:
    layers = [layer for layer in network if hasattr(layer, "weight")]
    for layer, values in zip(layers, params.values(), strict=True):
        kernel = np.array(values["kernel"])
        layer.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T)
        layer.bias.data = torch.tensor(np.array(values["bias"]))


def copy_from(network: Any, names: list[str]) -> dict[str, dict[str, np.ndarray]]:
    layers = [layer for layer in network if hasattr(layer, "weight")]
    weights = [layer.weight.detach().numpy() for layer in layers]
    return {
        name: {"kernel": w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T, "bias": layer.bias.detach().numpy()}
        for name, w, layer in zip(names, weights, layers, strict=True)
    }


OPTIMIZERS = {
    "momentum": (lambda: optim.momentum(0.05), partial(torch.optim.SGD, lr=0.05, momentum=0.9)),
    "adam": (lambda: optim.adam(1e-3), partial(torch.optim.Adam, lr=1e-3)),
}


@pytest.mark.parametrize(("network", "optimizer"), [(lenet, "momentum"), (mlp, "momentum"), (mlp, "adam")])
def test_five_training_steps_equal_torch(network: Any, optimizer: str) -> None:
    model, shape, peer = network()
    ours, theirs = OPTIMIZERS[optimizer]
    made = recipe(model=model, optimizer=lambda steps: ours(), batch_size=16)
    state = first_state(made, batch(1, shape=shape))
    names = sorted(state.params)
    copy_into(peer, {name: state.params[name] for name in names})
    step, update = jax.jit(make_train_step(made, mesh(), steps=5)), theirs(peer.parameters())
    for number in range(5):
        given = batch(16, seed=number, shape=shape)
        state, report = step(state, given)
        update.zero_grad()
        x, labels = (torch.tensor(np.array(given[name])) for name in ("image", "label"))
        loss = torch.nn.functional.cross_entropy(peer(x.permute(0, 3, 1, 2)), labels.long())
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in peer.parameters()])
        update.step()
        np.testing.assert_allclose(report.loss / report.examples, loss.item(), rtol=1e-4)
        np.testing.assert_allclose(report.gradient_norm, norm.item(), rtol=1e-4)
        assert_trees_close(state.params, copy_from(peer, names), rtol=1e-4, atol=2e-6)
    assert int(state.step) == 5


def nan_image(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "image": given["image"].at[5, 3, 4].set(jnp.nan)}


def infinite_image(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "image": given["image"].at[5, 3, 4].set(jnp.inf)}


def foreign_label(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "label": given["label"].at[5].set(10)}


@cache
def careful(accumulate: int) -> tuple[Any, Callable[..., tuple[TrainState, StepReport]]]:
    made = recipe(model=quick(Centred()), optimizer=lambda steps: optim.adam(0.1), ema=0.9, accumulate=accumulate)
    return made, jax.jit(make_train_step(made, mesh(), steps=10))


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("spoil", [nan_image, infinite_image, foreign_label])
def test_a_step_that_is_not_finite_changes_nothing_but_the_counters(spoil: Any, accumulate: int) -> None:
    made, step = careful(accumulate)
    good, bad = batch(32), spoil(batch(32))
    before, _ = step(first_state(made, good), good)
    once, report = step(before, bad)
    twice, _ = step(once, bad)
    for name in UNTOUCHED:
        assert digest(getattr(twice, name)) == digest(getattr(before, name)), name
    assert bool(report.bad)
    assert [(int(s.step), int(s.skipped), int(s.streak)) for s in (before, once, twice)] == [
        (1, 0, 0), (2, 1, 1), (3, 2, 2),
    ]  # fmt: skip
    after, report = step(twice, good)
    assert not report.bad
    assert (int(after.step), int(after.skipped), int(after.streak)) == (4, 2, 0)
    for name in UNTOUCHED:
        assert digest(getattr(after, name)) != digest(getattr(before, name)), name
    assert np.isfinite(np.asarray(after.params["logits"]["kernel"])).all()


def test_a_gradient_that_is_not_finite_is_refused_though_the_loss_is() -> None:
    made = recipe(
        model=pure(LogisticRegression(10)),
        loss=lambda logits, batch: jnp.sqrt(logits[:, 0]),  # 0 with gradient inf
    )
    given = batch(32)
    before = first_state(made, given)
    after, report = one_step(made, given, before)
    assert (float(report.loss), bool(report.bad)) == (0.0, True)
    assert not np.isfinite(report.gradient_norm)
    assert digest(after.params) == digest(before.params)


def test_an_overflow_in_the_norm_of_finite_gradients_is_no_reason_to_refuse() -> None:
    made = recipe(**SGD, model=pure(LogisticRegression(10)), loss=lambda logits, batch: 1e25 * logits[:, 0])
    state, report = one_step(made, batch(32))
    assert not report.bad
    assert np.isfinite(report.gradient_norm)
    assert float(report.gradient_norm) > 1e24
    assert int(state.skipped) == 0


def test_the_average_is_decay_times_itself_plus_the_rest_of_the_parameters() -> None:
    made, given = recipe(ema=0.8), batch(32)
    state = first_state(made, given)
    average = np.asarray(state.params["logits"]["kernel"], np.float64)
    step = jax.jit(make_train_step(made, mesh(), steps=10))
    for _ in range(3):
        state, _ = step(state, given)
        average = 0.8 * average + 0.2 * np.asarray(state.params["logits"]["kernel"], np.float64)
    np.testing.assert_allclose(state.ema["logits"]["kernel"], average, rtol=1e-5, atol=1e-7)
    assert np.abs(average - state.params["logits"]["kernel"]).max() > 1e-3


def test_in_bfloat16_only_activations_are_bfloat16() -> None:
    seen = []

    def loss(logits: Any, batch: Any) -> Any:
        seen.append(logits.dtype)
        return recipe().loss(logits, batch)

    half, full = (recipe(precision=p, loss=loss, ema=0.9) for p in ("bfloat16", "float32"))
    given = batch(32)
    state, report = one_step(half, given)
    exact, expected = one_step(full, given)
    assert seen == [jnp.bfloat16, jnp.float32]
    assert jax.tree.map(jnp.result_type, state) == jax.tree.map(jnp.result_type, exact)
    assert report.loss.dtype == report.gradient_norm.dtype == jnp.float32
    np.testing.assert_allclose(report.loss, expected.loss, rtol=0.01)
    assert_trees_close(state.params, exact.params, rtol=0, atol=2e-3)


def test_statistics_pass_through_the_micro_batches_one_after_the_other() -> None:
    given = batch(32)
    made = recipe(model=counting(quick(Centred())), accumulate=4)
    state, _ = one_step(made, given)
    expected = np.zeros(64)
    for part in np.split(np.asarray(given["image"]).reshape(32, 64), 4):
        expected = 0.9 * expected + 0.1 * part.mean(axis=0)
    np.testing.assert_allclose(state.stats["inner"]["batch_stats"]["mean"], expected, rtol=1e-5, atol=1e-6)
    assert state.stats["passes"] == 4


def test_the_key_of_a_pass_is_a_function_of_seed_step_and_micro_batch() -> None:
    def apply(params: Any, stats: Any, inputs: Any, *, train: bool, key: Any) -> tuple[Any, Any]:
        new = jnp.concatenate([stats["keys"][1:], jax.random.key_data(key)[None]])
        return inputs.reshape(-1, 64) @ params["w"], {"keys": new}

    model = Model(lambda key, inputs: ({"w": jnp.zeros((64, 10))}, {"keys": jnp.zeros((4, 2), jnp.uint32)}), apply)
    made = recipe(model=model, seed=3, accumulate=2)
    step, given = jax.jit(make_train_step(made, mesh(), steps=10)), batch(32)
    state, _ = step(first_state(made, given), given)
    state, _ = step(state, given)
    dropout = jax.random.fold_in(jax.random.key(3), 2)
    expected = [jax.random.fold_in(jax.random.fold_in(dropout, s), number) for s in (0, 1) for number in (0, 1)]
    np.testing.assert_array_equal(state.stats["keys"], [jax.random.key_data(key) for key in expected])
    assert len({tuple(key) for key in state.stats["keys"].tolist()}) == 4


def test_augmentation_changes_the_batch_of_a_training_step_by_a_key_of_its_step() -> None:
    keys = jnp.stack(
        [jax.random.key_data(jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 3), s)) for s in (0, 1)]
    )

    def augment(key: Any, batch: Any) -> Any:
        number = jnp.argmax(jnp.all(keys == jax.random.key_data(key)[None], axis=1))
        return {**batch, "image": batch["image"] * (2 + number)}

    model = pure(LogisticRegression(10))
    plain, augmented = recipe(**SGD, model=model), recipe(**SGD, model=model, augment=augment)
    given = batch(32)
    start = first_state(plain, given)
    for number in (0, 1):
        at = start._replace(step=jnp.int32(number))
        expected, _ = one_step(plain, {**given, "image": given["image"] * (2 + number)}, at)
        assert_trees_close(one_step(augmented, given, at)[0], expected)


def test_evaluation_counts_real_examples_and_neither_augments_nor_drops_nor_moves_statistics() -> None:
    made = recipe(
        model=quick(MLP(hidden=(16,), classes=10, dropout=0.9)),
        augment=lambda key, batch: {**batch, "image": 0 * batch["image"]},
    )
    given = batch(16, mask=np.arange(16) < 11)
    params = random_params(made.model, given["image"])
    evaluator = evaluator_of(made, mesh())
    states = evaluator.step(evaluator.start(16), params, {}, given)
    states = evaluator.step(states, params, {}, {**take(given, jnp.arange(16)), "example_mask": jnp.zeros(16)})
    results = evaluator.finish(states)

    x, labels = np.asarray(given["image"]).reshape(16, 64)[:11], np.asarray(given["label"])[:11]
    hidden = np.maximum(x @ params["hidden1"]["kernel"] + params["hidden1"]["bias"], 0)
    logits = hidden @ params["logits"]["kernel"] + params["logits"]["bias"]
    loss = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels).long())
    np.testing.assert_allclose(results["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(results["accuracy"], (logits.argmax(1) == labels).mean(), rtol=1e-6)
    assert int(results["confusion"].sum()) == 11
