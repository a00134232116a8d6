"""Tasks of images against values that are counted by hand and by PyTorch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.train.tasks import localization, retrieval, segmentation
from fjdl.train.tasks.retrieval import contrast, hard_triplets, semi_hard_triplets


def test_void_pixels_have_neither_loss_nor_gradient_whatever_is_predicted(rng: np.random.Generator) -> None:
    logits = rng.standard_normal((2, 3, 4, 3)).astype(np.float32)
    mask = rng.integers(0, 3, (2, 3, 4)).astype(np.uint8)
    mask[0, :2] = 255
    task = segmentation(3, dice=2.0, class_weights=(1.0, 2.0, 0.5))

    @jax.jit
    def mean(logits: jax.Array) -> jax.Array:
        values, weights = task.loss(logits, {"mask": mask})
        return jnp.sum(values * weights) / jnp.sum(weights)

    theirs = torch.tensor(logits, requires_grad=True)
    labels, counted = torch.tensor(mask).long(), torch.tensor(mask) != 255
    cost = torch.nn.functional.cross_entropy(
        theirs.permute(0, 3, 1, 2), labels, weight=torch.tensor([1, 2, 0.5]), ignore_index=255, reduction="none"
    )
    p, t = (
        theirs.softmax(-1) * counted[..., None],
        torch.nn.functional.one_hot(labels * counted, 3) * counted[..., None],
    )
    overlap = 2 * (p * t).sum((1, 2)) / (p + t).sum((1, 2))
    image = (1 - overlap).mean(1)[:, None, None]
    expected = ((cost + 2 * image) * counted).sum() / counted.sum()
    expected.backward()
    np.testing.assert_allclose(mean(logits), expected.item(), rtol=1e-5)
    gradient = jax.jit(jax.grad(mean))(logits)
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-4, atol=1e-6)
    spoiled = np.where((mask == 255)[..., None], np.nan, logits)
    np.testing.assert_array_equal(jax.jit(jax.grad(mean))(spoiled)[0, :2], 0)
    np.testing.assert_allclose(mean(spoiled), expected.item(), rtol=1e-5)


def test_an_object_is_located_where_class_and_box_are_right() -> None:
    """Right; wrong class; box of IoU 1 / 3; the background, whose box does not count."""
    boxes = jnp.array([[0.5, 0.5, 0.4, 0.4], [0.5, 0.5, 0.4, 0.4], [0.7, 0.5, 0.4, 0.4], [0.1, 0.1, 0.1, 0.1]])
    truth = jnp.array([[0.5, 0.5, 0.4, 0.4]] * 3 + [[0.0, 0.0, 0.0, 0.0]])
    outputs = {"logits": 50 * jax.nn.one_hot(jnp.array([1, 2, 2, 0]), 3), "box": boxes}
    batch = {"label": jnp.array([1, 1, 2, 0]), "box": truth}
    task = localization(3, background=0)
    loss = task.loss(outputs, batch)
    np.testing.assert_allclose(loss, [0, 50, 5 * 0.2**2, 0], rtol=1e-5, atol=1e-6)
    results = {name: m.compute(m.update(m.init(), outputs, batch)) for name, m in task.metrics.items()}
    assert float(results["located"]) == 0.5
    assert float(results["accuracy"]) == 0.75
    np.testing.assert_allclose(results["mean_overlap"], (1 + 1 + 1 / 3) / 3, rtol=1e-5)
    assert task.loss.summary is not None
    told = task.loss.summary.numbers(results)
    np.testing.assert_allclose(told["located_interval"], [0.1500, 0.8500], atol=1e-4)


def test_logits_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^the model must give logits of shape \(1, 4, 4, 3\), got \(1, 2, 2, 3\)$"):
        segmentation(3).loss(jnp.zeros((1, 2, 2, 3)), {"mask": jnp.zeros((1, 4, 4), jnp.int32)})


@pytest.mark.parametrize("comparison", [contrast, hard_triplets, semi_hard_triplets])
def test_examples_that_fill_a_batch_up_are_compared_with_none(rng: np.random.Generator, comparison: Any) -> None:
    """The mean over a batch is that of the examples that count alone, and examples without another are left out."""
    x, labels = rng.standard_normal((9, 5)).astype(np.float32), np.array([0, 1, 0, 2, 1, 0, 3, 3, 0])
    counted = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0], np.float32)
    task = retrieval(5, capacity=9, compare=comparison())

    @jax.jit
    def mean(x: Any, batch: dict[str, Any]) -> Any:
        values, weights = task.loss(x, batch)
        return jnp.sum(values * weights) / jnp.sum(weights)

    whole = mean(np.where(counted[:, None] == 1, x, 100), {"label": labels, "example_mask": counted})
    np.testing.assert_allclose(whole, mean(x[:8], {"label": labels[:8]}), rtol=1e-5)
    total = jax.grad(lambda x, batch: jnp.sum(jnp.prod(jnp.stack(task.loss(x, batch)), axis=0)))
    lonely = jax.jit(total)(x, {"label": labels})
    assert jnp.any(lonely != 0)


def test_triplets_and_contrast_by_hand() -> None:
    """Two pairs at right angles: the hardest triplet has distances 0 and the root of 2."""
    x, batch = jnp.array([[1.0, 0], [2, 0], [0, 1], [0, 3]]), {"label": jnp.array([0, 0, 1, 1])}
    values, weights = retrieval(2, capacity=4, compare=hard_triplets(margin=2.0)).loss(x, batch)
    np.testing.assert_allclose(values, np.full(4, 2 - np.sqrt(2)), rtol=1e-5)
    np.testing.assert_array_equal(weights, 1)
    values, _ = retrieval(2, capacity=4, compare=contrast(temperature=1.0)).loss(x, batch)
    np.testing.assert_allclose(values, np.full(4, np.log(np.e + 2) - 1), rtol=1e-5)
    task = retrieval(2, capacity=4, ks=(1, 2))
    recall = task.metrics["recall_at_1"]
    assert float(recall.compute(recall.update(recall.init(), x, batch))) == 1
    with pytest.raises(ValueError, match=r"^the model must give embeddings of shape \[n, 3\], got \(4, 2\)$"):
        retrieval(3, capacity=4).loss(x, batch)
