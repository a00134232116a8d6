"""CIFAR-10 in the least time.

Source: Jordan 2024, arXiv:2404.00498, and github.com/KellerJordan/cifar10-airbench (airbench94_muon); Krizhevsky 2009
(data).
Command: python -m experiments.train configs/cifar10_fast.py --precision bfloat16 --seed N
Hardware: 2 cores, AMD EPYC, with GLIBC_TUNABLES=glibc.malloc.hugetlb=1 in the environment; 781 ± 4 s for a run.
Reached: test accuracy 93.81 ± 0.07 % (mean ± sample standard deviation; seeds 0, 1; 10,000 test examples).
On an accelerator: python -m experiments.speedrun configs/cifar10_fast.py --precision bfloat16 --seeds 10; not run yet.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import optax

from fjdl import optim
from fjdl.augment import alternating_flips, each_image, in_sequence, random_crop
from fjdl.data.cifar import cifar10
from fjdl.functional.conv import conv2d
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.functional.whitening import patch_whitening
from fjdl.models.whitened import WhitenedNet
from fjdl.nn import View, averaged_views, functional, preprocessed
from fjdl.schedules import linear
from fjdl.train import Recipe
from fjdl.train.tasks import classification
from fjdl.typing import Array

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the training pixels in [0, 1]
WHITENED_EXAMPLES = 5000  # whose patches the whitening is fitted to
WHITENING_EPOCHS = 3  # after which its bias stays


def recipe(
    *,
    seed: int = 0,
    epochs: int = 8,
    batch_size: int = 2000,
    validation: int = 2000,
    width: float = 1.0,
    muon_rate: float = 0.24,
    bias_rate: float = 0.053,
    head_rate: float = 0.67,
    decay: float = 2e-6,
    smoothing: float = 0.2,
    views: Literal[1, 2, 6] = 6,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """Whitened patches, Muon with kernels of fixed norm, alternating mirror images, crops, and six views at the end.

    The rates of bias and head are for the sum of the losses of a batch, `decay` for one example of it.
    """
    splits = cache(partial(cifar10, validation=validation))
    task = classification(10, smoothing=smoothing)

    def inputs(batch: Any) -> Array:
        return standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD)

    def fit() -> Array:
        few = np.arange(min(WHITENED_EXAMPLES, splits().train.length))
        return patch_whitening(inputs(splits().train.element(few)), window=2)

    def whiten(kernel: Array, images: Array) -> Array:
        return conv2d(images, kernel, padding="VALID")

    def optimizer(steps: int) -> optax.GradientTransformation:
        early = max(steps * WHITENING_EPOCHS // max(epochs, WHITENING_EPOCHS), 1)
        kernels = optim.chain(
            optim.scale_by_muon(
                momentum=0.6,
                steps=3,
                update_rms=None,
                product_dtype=jnp.bfloat16 if precision == "bfloat16" else jnp.float32,
            ),
            optim.scale_by_learning_rate(linear(peak=muon_rate, steps=steps)),
            optim.fix_norm(),
        )
        return optim.partition(
            [
                ("logits/kernel", _summed(head_rate, steps, batch_size, decay)),
                (".*/kernel", kernels),
                ("whitening/bias", _summed(bias_rate, early, batch_size, decay)),
                (".*/bias", _summed(bias_rate, steps, batch_size, decay)),
            ]
        )

    widths = tuple(round(w * width) for w in (64, 256, 256))
    network = preprocessed(functional(WhitenedNet(widths=widths)), whiten, fit=fit)
    return Recipe(
        splits=splits,
        model=averaged_views(network, _views(views)),
        inputs=inputs,
        loss=task.loss,
        metrics=task.metrics,
        augment=in_sequence(
            alternating_flips(seed), each_image(partial(random_crop, size=(32, 32), padding=2, reflect=True))
        ),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )


def _summed(rate: float, steps: int, batch_size: int, decay: float) -> optax.GradientTransformation:
    """Nesterov's momentum for the sum of a batch's losses, where the trainer gives the gradient of their mean."""
    return optim.chain(
        optim.add_decayed_weights(decay / rate),
        optim.nesterov(linear(peak=rate * batch_size, steps=steps), momentum=0.85),
    )


def _views(count: int) -> list[View]:
    """The image, its mirror image, and both one pixel up and left and one down and right, at half the weight."""
    sides = [lambda x: x] if count == 1 else [lambda x: x, _mirrored]
    shifts = [(1.0, 0)] if count < 6 else [(0.5, 0), (0.25, -1), (0.25, 1)]
    return [
        (weight / len(sides), partial(_view, side=side, offset=offset)) for weight, offset in shifts for side in sides
    ]


def _view(images: Array, *, side: Callable[[Array], Array], offset: int) -> Array:
    if offset:
        padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        images = padded[:, 1 + offset : 33 + offset, 1 + offset : 33 + offset]
    return side(images)


def _mirrored(images: Array) -> Array:
    return images[:, :, ::-1]
