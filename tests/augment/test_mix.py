import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.augment import mix

N, CLASSES = 2000, 2000


def own_image() -> dict[str, jax.Array]:
    """A batch whose image i has the value i everywhere, and label i."""
    value = jnp.arange(N)
    return {"image": jnp.broadcast_to(value.astype(jnp.float32)[:, None, None, None], (N, 4, 6, 1)), "label": value}


def test_random_mixup_pairs_by_a_permutation_with_weights_of_beta() -> None:
    mixed = jax.jit(lambda key: mix.random_mixup(key, own_image(), classes=CLASSES, alpha=0.4))(jax.random.key(0))
    target, own = np.asarray(mixed["target"]), np.arange(N)
    weight = target[own, own]
    other = np.where(own[:, None] == own, 0, target)
    partner = np.where(weight > 1 - 1e-7, own, other.argmax(axis=1))
    assert len(np.unique(partner[weight < 0.999])) == (weight < 0.999).sum()
    np.testing.assert_allclose(target.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed["image"][:, 0, 0, 0], weight * own + (1 - weight) * partner, rtol=1e-3, atol=0.01)
    assert abs(weight.mean() - 0.5) < 0.05
    np.testing.assert_allclose(weight.var(), 1 / (4 * (2 * 0.4 + 1)), rtol=0.1)
    np.testing.assert_array_equal(mixed["label"], own)


def test_random_cutmix_weighs_targets_by_the_pixels_that_came() -> None:
    mixed = jax.jit(lambda key: mix.random_cutmix(key, own_image(), classes=CLASSES))(jax.random.key(0))
    images, target = np.asarray(mixed["image"])[..., 0], np.asarray(mixed["target"])
    for i in range(200):
        kept = (images[i] == i).mean()
        foreign = np.unique(images[i][images[i] != i])
        assert len(foreign) <= 1
        np.testing.assert_allclose(target[i, i], kept, atol=1e-6)
        if len(foreign):
            np.testing.assert_allclose(target[i, int(foreign[0])], 1 - kept, atol=1e-6)
    changed = (images != np.arange(N)[:, None, None]).mean()
    assert 0.1 < changed < 0.5  # a uniform λ and a border that cuts windows off


def test_mixtures_of_mixtures_start_from_their_targets_and_fit_the_loss() -> None:
    batch = {"image": np.zeros((3, 2, 2, 1), np.uint8), "label": np.array([0, 1, 2], np.uint8)}
    partner, half = np.array([1, 2, 0]), np.full(3, 0.5, np.float32)

    @jax.jit
    def twice(batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return mix.mixup(mix.mixup(batch, partner, half, classes=3), partner, half, classes=3)

    target = twice(batch)["target"]
    expected = np.array([[0.25, 0.5, 0.25], [0.25, 0.25, 0.5], [0.5, 0.25, 0.25]])
    np.testing.assert_array_equal(target, expected)
    logits = np.array([[1.0, 2.0, 3.0]] * 3)
    loss = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(np.asarray(target, np.float64)))
    parts = [torch.nn.functional.cross_entropy(torch.tensor(logits), torch.full((3,), k)) for k in range(3)]
    np.testing.assert_allclose(loss, np.mean(expected @ np.array(parts)), rtol=1e-12)


def test_uint8_images_are_rounded_to_even() -> None:
    batch = {"image": np.uint8([0, 1, 3, 255]).reshape(4, 1, 1, 1), "label": np.arange(4)}
    half = np.full(4, 0.5, np.float32)
    mixed = jax.jit(lambda b: mix.mixup(b, jnp.array([1, 2, 3, 3]), half, classes=4))(batch)
    np.testing.assert_array_equal(mixed["image"].ravel(), [0, 2, 129, 255])


@pytest.mark.parametrize("function", [mix.random_mixup, mix.random_cutmix])
@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan, np.inf])
def test_alpha_must_be_positive(function: object, alpha: float) -> None:
    with pytest.raises(ValueError, match=f"^alpha must be positive and finite, got {alpha}$"):
        function(jax.random.key(0), own_image(), classes=CLASSES, alpha=alpha)
