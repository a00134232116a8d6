"""Mixtures of two examples of a batch: `batch["image"]` and a distribution over classes in `batch["target"]`.

The targets come from integer labels in `batch["label"]` where the batch has none yet, and fit `soft_cross_entropy`.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import pixels
from fjdl.augment.window import covered
from fjdl.checks import within
from fjdl.numerics import signed, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, PRNGKey, typed


@typed
def targets(labels: Integer[Array, " n"], *, classes: int) -> Float[Array, "n {classes}"]:
    """One-hot rows in float32; a label outside [0, classes) never becomes another class: its row is NaN."""
    labels = signed(labels)
    valid = (labels >= 0) & (labels < classes)
    return jnp.where(valid[:, None], jax.nn.one_hot(labels, classes, dtype=jnp.float32), jnp.nan)


@typed
def mixup(
    batch: Mapping[str, Array], partner: Int[Array, " n"], weight: Float[Array, " n"], *, classes: int
) -> dict[str, Array]:
    """Images and targets `w · own + (1 - w) · partner's`, with the index of the partner in the batch.

    A weight of 1 keeps an example bit for bit. uint8 images are rounded. Other entries stay those of the example
    (Zhang et al. 2018, arXiv:1710.09412).
    """
    images, soft = jnp.asarray(batch["image"]), _soft(batch, classes)
    mixed = _lerp(widened(images), widened(images[partner]), weight)
    return {**batch, "image": pixels(mixed, images), "target": _lerp(soft, soft[partner], weight)}


@typed
def random_mixup(key: PRNGKey, batch: Mapping[str, Array], *, classes: int, alpha: float = 0.2) -> dict[str, Array]:
    """`mixup` with a random permutation and weights from Beta(alpha, alpha), one for each example.

    Raises `ValueError` unless alpha is above 0.
    """
    partner, weight = _pairs(key, batch["image"].shape[0], alpha)
    return mixup(batch, partner, weight, classes=classes)


@typed
def cutmix(
    batch: Mapping[str, Array], partner: Int[Array, " n"], windows: Int[Array, "n 4"], *, classes: int
) -> dict[str, Array]:
    """Images with a window (top, left, height, width) from the partner, and targets in proportion to the pixels.

    The part of a window outside of the image counts nothing, so the weight of the own target is exactly the part of the
    pixels that stay. Other entries stay those of the example (Yun et al. 2019, arXiv:1905.04899).
    """
    images, soft = jnp.asarray(batch["image"]), _soft(batch, classes)
    _, h, w, _ = images.shape
    pasted: Bool[Array, "n h w"] = jax.vmap(lambda window: covered(window, size=(h, w)))(windows)
    kept = 1 - jnp.sum(pasted, axis=(1, 2)).astype(soft.dtype) / (h * w)
    image = jnp.where(pasted[..., None], images[partner], images)
    return {**batch, "image": image, "target": _lerp(soft, soft[partner], kept)}


@typed
def random_cutmix(key: PRNGKey, batch: Mapping[str, Array], *, classes: int, alpha: float = 1.0) -> dict[str, Array]:
    """`cutmix` with a random permutation and, for each example, a window around a uniform pixel.

    Before the border cuts it off, the sides of the window are `sqrt(1 - λ)` of those of the image, rounded down, with
    λ from Beta(alpha, alpha). Raises `ValueError` unless alpha is above 0.
    """
    n, *size, _ = batch["image"].shape
    pairs, places = jax.random.split(key)
    partner, weight = _pairs(pairs, n, alpha)
    extent = jnp.array(size, jnp.int32)[None]
    sides = (jnp.sqrt(1 - weight)[:, None] * extent.astype(jnp.float32)).astype(jnp.int32)
    centres = jax.random.randint(places, (n, 2), 0, extent)
    return cutmix(batch, partner, jnp.concatenate([centres - sides // 2, sides], axis=1), classes=classes)


def _soft(batch: Mapping[str, Array], classes: int) -> Float[Array, "n k"]:
    return widened(batch["target"]) if "target" in batch else targets(batch["label"], classes=classes)


def _pairs(key: PRNGKey, n: int, alpha: float) -> tuple[Int[Array, " n"], Float[Array, " n"]]:
    within("(0, inf)", alpha=alpha)
    order, weights = jax.random.split(key)
    return jax.random.permutation(order, n), jax.random.beta(weights, alpha, alpha, (n,), jnp.float32)


def _lerp(own: Float[Array, "n ..."], other: Float[Array, "n ..."], weight: Float[Array, " n"]) -> Array:
    weight = weight.astype(own.dtype).reshape(-1, *(1,) * (own.ndim - 1))
    return weight * own + (1 - weight) * other
