import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.train.tasks import classification

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
    batch = {"label": jnp.asarray(LABELS), "mask": jnp.array([1.0, 1.0, 1.0, 0.0])}
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
