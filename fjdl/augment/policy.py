"""Policies that draw from a list of operations on one image: float in [0, 1] or uint8."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from fjdl.augment.color import brightness, contrast, saturation
from fjdl.augment.pixels import Image, white
from fjdl.augment.tone import autocontrast, equalize, posterize, sharpness, solarize
from fjdl.augment.warp import rotate, shear, translate
from fjdl.checks import within
from fjdl.meshes import switch
from fjdl.typing import Array, Float, PRNGKey, typed

Strength = Float[Array, ""]
Operation = Callable[[Image, Strength], Image]


def standard_operations(
    *, shear_by: float, translate_by: Callable[[int], float], degrees: float, enhance: float, bits: int
) -> tuple[Operation, ...]:
    """The 14 operations of RandAugment as functions of an image and a strength in [-1, 1].

    Identity, autocontrast, equalize, rotation, solarize, posterize, saturation, contrast, brightness, sharpness, and
    shear and translation along each axis. Strength 0 is the identity except for autocontrast and equalize, which have
    none. Strength ±1 is one end: `±shear_by`, `±degrees`, `±translate_by(side)` pixels and factors of `1 ± enhance`,
    and whatever the sign `bits` fewer bits and a threshold of 0, down from 256/255 of white. Geometry takes the nearest
    pixel and opens black.
    """

    def slide(image: Image, strength: Strength, axis: int) -> Image:
        pixels = translate_by(image.shape[axis]) * _along(strength, axis)
        return translate(image, pixels, nearest=True)

    return (
        lambda image, strength: image,
        lambda image, strength: autocontrast(image),
        lambda image, strength: equalize(image),
        lambda image, strength: rotate(image, degrees * strength, nearest=True),
        lambda image, strength: solarize(image, white(image) * 256 / 255 * (1 - jnp.abs(strength))),
        lambda image, strength: posterize(image, 8 - jnp.round(bits * jnp.abs(strength)).astype(jnp.int32)),
        lambda image, strength: saturation(image, 1 + enhance * strength),
        lambda image, strength: contrast(image, 1 + enhance * strength),
        lambda image, strength: brightness(image, 1 + enhance * strength),
        lambda image, strength: sharpness(image, 1 + enhance * strength),
        lambda image, strength: shear(image, shear_by * _along(strength, 0), nearest=True),
        lambda image, strength: shear(image, shear_by * _along(strength, 1), nearest=True),
        lambda image, strength: slide(image, strength, 0),
        lambda image, strength: slide(image, strength, 1),
    )


RAND_AUGMENT = standard_operations(
    shear_by=0.3, translate_by=lambda side: 150 / 331 * side, degrees=30.0, enhance=0.9, bits=4
)
TRIVIAL_AUGMENT_WIDE = standard_operations(
    shear_by=0.99, translate_by=lambda side: 32.0, degrees=135.0, enhance=0.99, bits=6
)


@typed
def operate(
    image: Image, number: Array, strength: Strength, *, operations: Sequence[Operation] = RAND_AUGMENT
) -> Image:
    """The operation `number`, clipped to those there are, at `strength` in [-1, 1].

    `jax.vmap` over images computes every operation for each of them and selects.
    """
    return switch(number, operations, image, strength)


@typed
def rand_augment(
    key: PRNGKey,
    image: Image,
    *,
    count: int = 2,
    magnitude: float = 9.0,
    operations: Sequence[Operation] = RAND_AUGMENT,
) -> Image:
    """`count` operations in turn, drawn with replacement, all at `magnitude` of 30 with a random sign each.

    Cubuk et al. 2020, arXiv:1909.13719, with the ranges of torchvision. Raises `ValueError` for a negative count and a
    magnitude outside [0, 30].
    """
    within("[0, inf]", count=count)
    within("[0, 30]", magnitude=magnitude)
    choice, sign = jax.random.split(key)
    numbers = jax.random.randint(choice, (count,), 0, len(operations))
    strengths = magnitude / 30 * jax.random.rademacher(sign, (count,), jnp.float32)
    for number, strength in zip(numbers, strengths, strict=True):
        image = operate(image, number, strength, operations=operations)
    return image


@typed
def trivial_augment(key: PRNGKey, image: Image, *, operations: Sequence[Operation] = TRIVIAL_AUGMENT_WIDE) -> Image:
    """One operation drawn uniformly at a strength drawn from k/30 for k = 0 … 30, with a random sign.

    Müller & Hutter 2021, arXiv:2103.10158, by default with its wide ranges.
    """
    choice, size, sign = jax.random.split(key, 3)
    strength = jax.random.randint(size, (), 0, 31).astype(jnp.float32) / 30
    number = jax.random.randint(choice, (), 0, len(operations))
    return operate(image, number, strength * jax.random.rademacher(sign, (), jnp.float32), operations=operations)


def _along(strength: Strength, axis: int) -> Float[Array, "2"]:
    return jnp.where(jnp.arange(2) == axis, strength, 0)
