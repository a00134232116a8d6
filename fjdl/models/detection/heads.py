"""Heads of detectors: scores and offsets for each anchor of each cell."""

from collections.abc import Callable, Sequence
from math import log

import jax.numpy as jnp
from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.nn import Conv
from fjdl.typing import Array

Part = Callable[..., linen.Module]


class ConvHead(linen.Module):
    """`convs` 3 x 3 convolutions of `width` with ReLU, and one that gives `outputs` numbers for each anchor.

    `norm` stands between convolution and ReLU. The last bias starts at `bias`. Kernels start as normal numbers with
    deviation 0.01, as in RetinaNet.
    """

    anchors: int
    outputs: int
    width: int = 256
    convs: int = 4
    norm: Part | None = None
    bias: float = 0.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h w anchors, outputs], by rows, columns and anchors of a cell."""
        for i in range(self.convs):
            x = self._conv(self.width, name=f"conv{i}")(x)
            x = relu(x if self.norm is None else self.norm(name=f"norm{i}")(x, train=train))
        last = self._conv(self.anchors * self.outputs, bias=self.bias, name="last")(x)
        n, h, w, _ = last.shape
        return last.reshape(n, h * w * self.anchors, self.outputs)

    def _conv(self, features: int, *, bias: float = 0.0, name: str) -> Conv:
        return Conv(
            features, 3, kernel_init=initializers.normal(0.01), bias_init=initializers.constant(bias), name=name
        )


def over_levels(head: linen.Module, levels: Sequence[Array], *, train: bool) -> Array:
    """The results of one head, whose parameters all levels share, one level behind the other."""
    return jnp.concatenate([head(level, train=train) for level in levels], axis=1)


def rare(probability: float) -> float:
    """The bias with which a sigmoid starts at `probability`, so that the many anchors without an object cost little.

    Lin et al. 2017, arXiv:1708.02002, take 0.01.
    """
    return -log((1 - probability) / probability)
