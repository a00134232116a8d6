import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from fjdl import losses
from fjdl.train.tasks import classification, regression

LOGITS = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.5, 0.4, 0.3], [9.0, 0.0, 0.0]], np.float32)
LABELS = np.array([0, 2, 0, 1], np.int32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_torchs_cross_entropy_of_each_example(smoothing: float) -> None:
    values = classification(3, smoothing=smoothing).loss(jnp.asarray(LOGITS), {"label": jnp.asarray(LABELS)})
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS), torch.tensor(LABELS).long(), reduction="none", label_smoothing=smoothing
    )
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_accuracy_and_confusion_count_the_examples_of_the_mask() -> None:
    task = classification(3)
    batch = {"label": jnp.asarray(LABELS), "example_mask": jnp.array([1.0, 1.0, 1.0, 0.0])}
    results = {
        name: metric.compute(metric.update(metric.init(), jnp.asarray(LOGITS), batch))
        for name, metric in task.metrics.items()
    }
    assert results.keys() == {"accuracy", "confusion"}
    np.testing.assert_allclose(results["accuracy"], 2 / 3, rtol=1e-6)
    np.testing.assert_array_equal(results["confusion"], [[2, 0, 0], [0, 0, 0], [0, 1, 0]])
    everything = {"label": jnp.asarray(LABELS)}
    accuracy = task.metrics["accuracy"]
    assert accuracy.compute(accuracy.update(accuracy.init(), jnp.asarray(LOGITS), everything)) == 0.5


def test_smoothing_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^smoothing must lie in \[0, 1\), got 1.0$"):
        classification(3, smoothing=1.0).loss(jnp.asarray(LOGITS), {"label": jnp.asarray(LABELS)})


def test_losses_of_auxiliary_classifiers_are_added_with_their_weights() -> None:
    task, plain = classification(3, auxiliary={"early": 0.3, "middle": 0.4}), classification(3)
    outputs = {"logits": jnp.asarray(LOGITS), "early": jnp.zeros((4, 3)), "middle": jnp.asarray(2 * LOGITS)}
    batch = {"label": jnp.asarray(LABELS)}
    expected = plain.loss(outputs["logits"], batch) + 0.3 * np.log(3) + 0.4 * plain.loss(outputs["middle"], batch)
    np.testing.assert_allclose(task.loss(outputs, batch), expected, rtol=1e-6)
    accuracy = task.metrics["accuracy"]
    assert accuracy.compute(accuracy.update(accuracy.init(), outputs, batch)) == 0.5


@pytest.mark.parametrize("shape", [(4, 2), (4, 4)])
def test_logits_of_another_number_of_classes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(
        ValueError, match=rf"^the model must give 3 logits for each example, got shape \(4, {shape[1]}\)$"
    ):
        classification(3).loss(jnp.zeros(shape), {"label": jnp.asarray(LABELS)})


PREDICTIONS = np.array([[1.0, 2.0], [0.0, 0.5], [3.0, -1.0], [100.0, 100.0]], np.float32)
TARGETS = np.array([[1.5, 2.0], [1.0, 0.0], [2.0, -2.0], [0.0, 0.0]], np.float32)
MASK = {"example_mask": jnp.array([1.0, 1.0, 1.0, 0.0])}


@pytest.mark.parametrize(
    ("predictions", "targets"),
    [
        (PREDICTIONS[:, 0], TARGETS[:, 0]),
        (PREDICTIONS[:, :1], TARGETS[:, 0]),
        (PREDICTIONS[:, 0], TARGETS[:, :1]),
        (PREDICTIONS, TARGETS),
    ],
    ids=["vectors", "a column and a vector", "a vector and a column", "columns"],
)
def test_regression_has_one_loss_per_example_and_the_metrics_of_scikit_learn(
    predictions: np.ndarray, targets: np.ndarray
) -> None:
    task, batch = regression(), {"target": jnp.asarray(targets), **MASK}
    p, t = (x.reshape(4, -1) for x in (predictions, targets))
    values = task.loss(jnp.asarray(predictions), batch)
    np.testing.assert_allclose(values, np.square(p - t).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(
        regression(loss=losses.huber_loss).loss(jnp.asarray(predictions), batch),
        torch.nn.functional.huber_loss(torch.tensor(p), torch.tensor(t), reduction="none").mean(axis=1),
        rtol=1e-6,
    )
    results = {
        name: metric.compute(metric.update(metric.init(), jnp.asarray(predictions), batch))
        for name, metric in task.metrics.items()
    }
    flat = t[:3].ravel(), p[:3].ravel()
    np.testing.assert_allclose(results["rmse"], root_mean_squared_error(*flat), rtol=1e-6)
    np.testing.assert_allclose(results["mae"], mean_absolute_error(*flat), rtol=1e-6)
    np.testing.assert_allclose(results["r2"], r2_score(*flat), rtol=1e-5)


def test_integer_targets_are_numbers() -> None:
    np.testing.assert_array_equal(regression().loss(jnp.array([1.5, 2.0]), {"target": jnp.array([1, 4])}), [0.25, 4.0])


def test_predictions_are_never_broadcast_against_targets() -> None:
    message = r"^the model must give as many numbers per example as the target has, got shapes \(4, 2\) and \(4,\)$"
    with pytest.raises(ValueError, match=message):
        regression().loss(jnp.asarray(PREDICTIONS), {"target": jnp.asarray(TARGETS[:, 0])})
