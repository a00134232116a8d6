"""Tasks of tokens against PyTorch and NumPy: which tokens count, what is added to the loss, what is told."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.metrics import accuracy_score, confusion_matrix

from fjdl.metrics import Metric
from fjdl.train.summary import intervals, proportions, summarized
from fjdl.train.tasks import Task, language_model, tagging, translation
from tests.support import assert_trees_close

N, T, K = 5, 4, 3
RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((N, T, K)).astype(np.float32)
TARGET = RNG.integers(0, K, (N, T)).astype(np.int32)
LENGTH = np.array([4, 2, 0, 3, 4], np.int32)
NEW = np.ones((N, T), bool)
NEW[0, :2] = False  # a window whose first tokens another one has counted
COUNTED = (np.arange(T) < LENGTH[:, None]) & NEW
BATCH = {"target": TARGET, "length": LENGTH, "token_mask": NEW}
SPOILT = np.where((np.arange(T) < LENGTH[:, None])[..., None], LOGITS, np.nan)  # padding is NaN


def nats(smoothing: float = 0.0, logits: Any = LOGITS, labels: Any = TARGET) -> np.ndarray:
    values = torch.nn.functional.cross_entropy(
        torch.tensor(logits.reshape(-1, K)),
        torch.tensor(labels.ravel()).long(),
        reduction="none",
        label_smoothing=smoothing,
    )
    return values.numpy().reshape(labels.shape)


def measured(task: Task, *parts: tuple[Any, Any]) -> dict[str, Any]:
    """The summary of all batches, which one program measures."""

    def result(metric: Metric, parts: Any) -> Any:
        state = metric.init()
        for outputs, batch in parts:
            state = metric.update(state, outputs, batch)
        return metric.compute(state)

    assert task.loss.summary is not None
    whole = jax.jit(lambda parts: {name: result(metric, parts) for name, metric in task.metrics.items()})
    return summarized(task.loss.summary, whole(parts))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_tokens_that_count_have_torchs_cross_entropy_and_others_neither_value_nor_gradient(smoothing: float) -> None:
    def total(logits: Any) -> Any:
        values, weights = language_model(K, smoothing=smoothing).loss(logits, BATCH)
        return jnp.sum(values), (values, weights)

    gradient, (values, weights) = jax.jit(jax.grad(total, has_aux=True))(SPOILT)
    np.testing.assert_array_equal(weights, COUNTED)
    np.testing.assert_allclose(values, np.where(COUNTED, nats(smoothing), 0), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(np.any(gradient != 0, axis=-1), COUNTED)
    assert np.isfinite(gradient).all()


def test_the_loss_of_a_sequence_may_be_the_sum_over_its_tokens() -> None:
    values = jax.jit(language_model(K, per_sequence=True).loss)(SPOILT, BATCH)
    np.testing.assert_allclose(values, np.where(COUNTED, nats(), 0).sum(1), rtol=1e-5)
    everything, weights = jax.jit(language_model(K).loss)(LOGITS, {"target": TARGET})
    np.testing.assert_allclose(everything, nats(), rtol=1e-5)
    assert np.all(weights == 1)


def test_large_and_fast_activations_cost_what_the_paper_says() -> None:
    states = RNG.standard_normal((N, T, 6)).astype(np.float32)
    dropped = 2 * states * (RNG.random(states.shape) < 0.5)
    task = language_model(K, activation=2.0, slowness=1.5)
    inside = (np.arange(T) < LENGTH[:, None])[..., None]
    outputs = {
        "logits": SPOILT,
        "activations": np.where(inside, dropped, np.nan),
        "states": np.where(inside, states, np.nan),
    }
    values, _ = jax.jit(task.loss)(outputs, BATCH)
    square, change = (dropped**2).mean(-1), np.zeros((N, T))
    change[:, 1:] = ((states[:, 1:] - states[:, :-1]) ** 2).mean(-1) * COUNTED[:, :-1]
    expected = np.where(COUNTED, nats() + 2.0 * square + 1.5 * change, 0)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.jit(task.loss)(SPOILT, BATCH)[0], np.where(COUNTED, nats(), 0), rtol=1e-5, atol=1e-7)


def test_perplexity_accuracy_and_their_intervals_are_those_of_the_tokens_that_count() -> None:
    task = language_model(K, smoothing=0.1, characters=True)
    masked = {**BATCH, "example_mask": np.array([True, True, True, True, False])}
    half = [{name: array[rows] for name, array in masked.items()} for rows in (slice(2), slice(2, None))]
    whole = measured(task, (SPOILT, masked))
    assert_trees_close(measured(task, (SPOILT[:2], half[0]), (SPOILT[2:], half[1])), whole, rtol=1e-5)
    counted = COUNTED & masked["example_mask"][:, None]
    mean, n = nats()[counted].mean(), counted.sum()
    assert whole["perplexity"] == pytest.approx(np.exp(mean), rel=1e-5)
    assert whole["bits_per_character"] == pytest.approx(mean / np.log(2), rel=1e-5)
    assert whole["count"] == n
    right = accuracy_score(TARGET[counted], LOGITS.argmax(-1)[counted], normalize=False)
    assert whole["accuracy"] == pytest.approx(right / n)
    low, high = whole["accuracy_interval"]
    z = 1.959964
    centre, half_width = (right / n + z**2 / 2 / n), z * np.sqrt(right / n * (1 - right / n) / n + z**2 / 4 / n**2)
    np.testing.assert_allclose([low, high], (centre + np.array([-half_width, half_width])) / (1 + z**2 / n), rtol=1e-5)
    rest = np.where(counted, nats() - mean, 0).sum(1)[:4]  # four sequences are examples
    error = np.sqrt(4 / 3 * (rest**2).sum()) / n
    np.testing.assert_allclose(whole["perplexity_range"], np.exp([mean - z * error, mean + z * error]), rtol=1e-4)
    assert (set(intervals(whole)), set(proportions(whole))) == ({"accuracy", "perplexity"}, {"accuracy"})


def test_a_decoder_is_asked_for_the_words_after_the_first() -> None:
    target, length = np.pad(TARGET, ((0, 0), (1, 0))), np.array([5, 3, 1, 4, 0], np.int32)
    batch = {"target": target, "target_length": length}
    values, weights = jax.jit(translation(K).loss)(LOGITS, batch)
    counted = np.arange(T) < length[:, None] - 1
    np.testing.assert_array_equal(weights, counted)
    np.testing.assert_allclose(values, np.where(counted, nats(), 0), rtol=1e-5, atol=1e-7)
    found = measured(translation(K), (LOGITS, batch))
    assert found["perplexity"] == pytest.approx(np.exp(nats()[counted].mean()), rel=1e-5)


def test_a_sequence_is_exact_where_every_token_that_counts_is_right_whatever_the_batches() -> None:
    target = np.array([[0, 1, 2, 1], [0, 1, 2, 1], [0, 2, 9, 9], [0, 1, 1, 9]], np.int32)
    length, first = np.array([4, 4, 2, 3], np.int32), np.array([[1, 2, 1], [1, 2, 2], [2, 0, 0], [1, 1, 0]])
    logits = np.eye(3, dtype=np.float32)[first]
    batch = {"target": np.where(target == 9, 0, target), "target_length": length}
    parts = [(logits[rows], {name: array[rows] for name, array in batch.items()}) for rows in (slice(1), slice(1, 4))]
    for found in (measured(translation(K), (logits, batch)), measured(translation(K), *parts)):
        assert (found["exact"], found["exact_count"], found["count"]) == (0.75, 4, 9)
        low, high = scipy.stats.binomtest(3, 4).proportion_ci(method="wilson")
        np.testing.assert_allclose(found["exact_interval"], [low, high], rtol=1e-5)
        assert set(proportions(found)) == {"accuracy", "exact"}


def test_labels_of_tokens_have_the_scores_of_classes() -> None:
    batch = {"label": TARGET, "length": LENGTH}
    counted = np.arange(T) < LENGTH[:, None]
    values, weights = jax.jit(tagging(K).loss)(SPOILT, batch)
    np.testing.assert_array_equal(weights, counted)
    np.testing.assert_allclose(values, np.where(counted, nats(), 0), rtol=1e-5, atol=1e-7)
    found = measured(tagging(K), (SPOILT, batch))
    expected = confusion_matrix(TARGET[counted], LOGITS.argmax(-1)[counted], labels=range(K))
    assert found["confusion"] == expected.tolist()
    assert found["accuracy"] == pytest.approx(np.trace(expected) / counted.sum())
    assert found["count"] == counted.sum()


@pytest.mark.parametrize("shape", [(N, T, K + 1), (N, T - 1, K), (N, K)])
def test_logits_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"^the model must give 3 logits for each token, of shape \(5, 4, 3\), got shape"
    ):
        language_model(K).loss(jnp.zeros(shape), BATCH)


def test_a_model_may_give_the_nats_of_its_targets_and_no_logits() -> None:
    task, other = language_model(K, characters=True, nats=True), language_model(K, characters=True)
    given = {"nats": jnp.asarray(np.where(COUNTED, nats(), np.nan))}

    def total(values: Any) -> Any:
        each, weights = task.loss({"nats": values}, BATCH)
        return jnp.sum(each), weights

    gradient, weights = jax.jit(jax.grad(total, has_aux=True))(given["nats"])
    np.testing.assert_array_equal(weights, COUNTED)
    np.testing.assert_array_equal(gradient, COUNTED)
    np.testing.assert_allclose(jax.jit(task.loss)(given, BATCH)[0], np.where(COUNTED, nats(), 0), rtol=1e-6)
    expected = measured(other, (LOGITS, BATCH))
    for name in ("accuracy", "accuracy_interval"):
        expected.pop(name)
    assert_trees_close(measured(task, (given, BATCH)), expected, rtol=1e-5)
    assert set(task.metrics) == set(other.metrics) - {"accuracy"}


@pytest.mark.parametrize("outputs", [LOGITS, {"logits": LOGITS}, {"nats": LOGITS}], ids=["array", "logits", "shape"])
def test_a_model_that_gives_no_nats_is_told_so(outputs: Any) -> None:
    with pytest.raises(ValueError, match=r'must give a dictionary with "nats" of each token, of shape \(5, 4\), got'):
        language_model(K, nats=True).loss(outputs, BATCH)
    with pytest.raises(ValueError, match=r"smoothing must be 0 where the model gives nats, got 0\.1"):
        language_model(K, nats=True, smoothing=0.1)
