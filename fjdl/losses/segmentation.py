"""Overlap losses on the probabilities of pixels, one value per image.

All take `[*batch, *space, k]`: `space` axes of pixels before the axis of classes are summed, one value is left for each
entry of the batch. To sum over the batch as well, as one large image, count its axis among them: `space=3` for
`[n, h, w, k]`. Probabilities of exclusive classes are `jax.nn.softmax(logits)`, those of independent ones
`jax.nn.sigmoid(logits)`; `k = 1` is a foreground alone. Targets are one-hot, `jax.nn.one_hot(labels, k)`, or soft.

Classes are averaged with `class_weights` (1 each). `smooth` is added to numerator and denominator of each score. With
0, a class that is not in the target costs 1 with zero gradient however small its probability; above 0 it costs less
the less it is predicted. A class absent from both, without target and without any probability, is left out of the
average, or counted with loss 0 where `skip_absent` is False. Where no class is left the loss is 0 with zero gradient.
Pixels whose `mask` is False or 0 are left out, NaN included.
"""

import jax.numpy as jnp

from fjdl.checks import known, within
from fjdl.fused import fused
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Bool, Float, Num, Number, typed


@typed
@fused
def dice_loss(
    probabilities: Float[Array, "*pixels k"],
    targets: Float[Array, "*pixels k"],
    *,
    space: int = 2,
    smooth: Number = 0.0,
    skip_absent: bool = True,
    class_weights: Float[Array, "k"] | None = None,
    mask: Bool[Array, "*pixels"] | Num[Array, "*pixels"] | None = None,
) -> Float[Array, "..."]:
    """Soft Dice loss, the mean over classes of `1 - (2 Σ p·t + smooth) / (Σ p + Σ t + smooth)`, one per image.

    In [0, 1]. The sums run over the pixels of an image; shapes, absent classes and mask as in the head of this module.
    Dice 1945; with squares in the denominator Milletari et al. 2016 (V-Net), arXiv:1606.04797.
    """
    wrong, total, absent = _errors(probabilities, targets, 0.5, 0.5, smooth / 2, space, mask)
    return _mean_over_classes(safe_divide(wrong, total), absent & skip_absent, class_weights)


@typed
@fused
def jaccard_loss(
    probabilities: Float[Array, "*pixels k"],
    targets: Float[Array, "*pixels k"],
    *,
    space: int = 2,
    smooth: Number = 0.0,
    skip_absent: bool = True,
    class_weights: Float[Array, "k"] | None = None,
    mask: Bool[Array, "*pixels"] | Num[Array, "*pixels"] | None = None,
) -> Float[Array, "..."]:
    """Soft IoU loss, the mean over classes of `1 - (Σ p·t + smooth) / (Σ p + Σ t - Σ p·t + smooth)`, one per image.

    In [0, 1]. The sums run over the pixels of an image; shapes, absent classes and mask as in the head of this module.
    Rahman & Wang 2016.
    """
    wrong, total, absent = _errors(probabilities, targets, 1.0, 1.0, smooth, space, mask)
    return _mean_over_classes(safe_divide(wrong, total), absent & skip_absent, class_weights)


@typed
@fused
def tversky_loss(
    probabilities: Float[Array, "*pixels k"],
    targets: Float[Array, "*pixels k"],
    *,
    alpha: Number = 0.3,
    beta: Number = 0.7,
    space: int = 2,
    smooth: Number = 0.0,
    skip_absent: bool = True,
    class_weights: Float[Array, "k"] | None = None,
    mask: Bool[Array, "*pixels"] | Num[Array, "*pixels"] | None = None,
) -> Float[Array, "..."]:
    """Tversky loss, the mean over classes of `1 - (TP + smooth) / (TP + α FP + β FN + smooth)`, one per image.

    In [0, 1], with `TP = Σ p·t`, `FP = Σ p·(1 - t)` and `FN = Σ (1 - p)·t` over the pixels of an image; shapes, absent
    classes and mask as in the head of this module. α = β = 1/2 is `dice_loss` with twice the smooth, and α = β = 1 is
    `jaccard_loss`. Salehi et al. 2017, arXiv:1706.05721.
    """
    wrong, total, absent = _errors(probabilities, targets, alpha, beta, smooth, space, mask)
    return _mean_over_classes(safe_divide(wrong, total), absent & skip_absent, class_weights)


@typed
@fused
def focal_tversky_loss(
    probabilities: Float[Array, "*pixels k"],
    targets: Float[Array, "*pixels k"],
    *,
    gamma: Number = 4 / 3,
    alpha: Number = 0.3,
    beta: Number = 0.7,
    space: int = 2,
    smooth: Number = 0.0,
    skip_absent: bool = True,
    class_weights: Float[Array, "k"] | None = None,
    mask: Bool[Array, "*pixels"] | Num[Array, "*pixels"] | None = None,
) -> Float[Array, "..."]:
    """Focal Tversky loss, the mean over classes of `(1 - Tversky index)^(1/γ)`, in [0, 1], one per image.

    The index is that of `tversky_loss`; a class without error costs 0 with zero gradient, where the slope of the power
    is infinite. γ = 1 is `tversky_loss`; many programs call γ what is 1/γ here.
    Abraham & Khan 2019, arXiv:1810.07842, who sum over the classes and swap α and β.
    """
    within("(0, inf)", gamma=gamma)
    wrong, total, absent = _errors(probabilities, targets, alpha, beta, smooth, space, mask)
    losses = safe_divide(wrong, total)
    powers = jnp.where(losses <= 0, 0, jnp.where(losses <= 0, 1, losses) ** (1 / gamma))
    return _mean_over_classes(powers, absent & skip_absent, class_weights)


def _errors(
    probabilities: Float[Array, "*pixels k"],
    targets: Float[Array, "*pixels k"],
    alpha: Number,
    beta: Number,
    smooth: Number,
    space: int,
    mask: Bool[Array, "*pixels"] | Num[Array, "*pixels"] | None,
) -> tuple[Float[Array, "*batch k"], Float[Array, "*batch k"], Bool[Array, "*batch k"]]:
    """`α FP + β FN`, `TP + α FP + β FN + smooth`, and which classes are absent from both, per image and class.

    Their ratio is one minus the score without the cancellation of that difference.
    """
    _check(alpha, beta, smooth, space, probabilities.ndim - 1)
    p, t = widened(probabilities), widened(targets)
    if mask is not None:
        keep = (jnp.asarray(mask) != 0)[..., None]
        p, t = jnp.where(keep, p, 0), jnp.where(keep, t, 0)
    pixels = tuple(range(-1 - space, -1))
    hits, extra, missed = (jnp.sum(x, axis=pixels) for x in (p * t, p * (1 - t), (1 - p) * t))
    wrong = alpha * extra + beta * missed
    return wrong, hits + wrong + smooth, hits + extra + missed == 0


def _check(alpha: Number, beta: Number, smooth: Number, space: int, pixel_axes: int) -> None:
    within("[0, inf)", alpha=alpha, beta=beta, smooth=smooth)
    if known(alpha) == known(beta) == 0:
        raise ValueError(f"alpha + beta must be positive, got {alpha + beta}")
    if not 0 <= space <= pixel_axes:
        raise ValueError(f"space must lie in [0, {pixel_axes}], the axes before the classes, got {space}")


def _mean_over_classes(
    losses: Float[Array, "*batch k"], skipped: Bool[Array, "*batch k"], class_weights: Float[Array, "k"] | None
) -> Float[Array, "*batch"]:
    weights = jnp.ones(losses.shape[-1:], losses.dtype) if class_weights is None else widened(class_weights)
    weights = jnp.where(skipped, 0, jnp.broadcast_to(weights, losses.shape))
    return safe_divide(jnp.sum(weights * losses, axis=-1), jnp.sum(weights, axis=-1))
