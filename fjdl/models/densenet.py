"""Densely connected networks (Huang et al. 2017, arXiv:1608.06993): each layer sees the outputs of all before it."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.models.variant import variant
from fjdl.nn import AveragePool, BatchNorm, Conv, Dense, Dropout, GlobalAveragePool, MaxPool
from fjdl.transfer.layout import Layout
from fjdl.typing import Array

Part = Callable[..., linen.Module]

_conv = partial(Conv, use_bias=False, kernel_init=initializers.he_normal())


class DenseLayer(linen.Module):
    """`growth` new channels: batch norm, ReLU and 3x3 convolution of all old ones.

    With `bottleneck`, the B of DenseNet-B, a 1x1 convolution to `bottleneck · growth` channels comes before, with batch
    norm and ReLU; 0 leaves it out.
    """

    growth: int
    bottleneck: int = 4
    norm: Part = BatchNorm
    dropout: float = 0.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, growth]."""
        inner = [(self.bottleneck * self.growth, 1)] if self.bottleneck else []
        for number, (features, window) in enumerate([*inner, (self.growth, 3)], start=1):
            x = relu(self.norm(name=f"norm{number}")(x, train=train))
            x = _conv(features, window, padding=window // 2, name=f"conv{number}")(x)
            x = Dropout(self.dropout, name=f"dropout{number}")(x, train=train)
        return x


class Transition(linen.Module):
    """Batch norm, ReLU, 1x1 convolution to ⌊compression · channels⌋ channels, and a 2x2 average pool."""

    compression: float = 0.5
    norm: Part = BatchNorm
    dropout: float = 0.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌊h / 2⌋, ⌊w / 2⌋, ⌊compression · channels⌋]."""
        features = int(self.compression * x.shape[-1])
        x = _conv(features, 1, name="conv")(relu(self.norm(name="norm")(x, train=train)))
        return AveragePool(2, name="pool")(Dropout(self.dropout, name="dropout")(x, train=train))


class DenseStage(linen.Module):
    """`blocks` times `layer`, each of whose outputs is joined to its input; behind `transition` where there is one."""

    blocks: int
    layer: Part
    transition: Part | None = None

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h_out, w_out, channels_out + blocks · growth]."""
        if self.transition is not None:
            x = self.transition(name="transition")(x, train=train)
        for index in range(self.blocks):
            new = self.layer(name=f"block{index}")(x, train=train)
            x = jnp.concatenate([x, new], axis=-1)
        return x


class DenseNetStem(linen.Module):
    """7x7 convolution of stride 2, batch norm, ReLU and a 3x3 max pool of stride 2."""

    features: int
    norm: Part = BatchNorm

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌈h / 4⌉, ⌈w / 4⌉, features]."""
        x = _conv(self.features, 7, stride=2, padding=3, name="conv")(x)
        x = relu(self.norm(name="norm")(x, train=train))
        return MaxPool(3, stride=2, padding=1, name="pool")(x)


class DenseNetSmallStem(linen.Module):
    """A 3x3 convolution that keeps the size, for images such as CIFAR's."""

    features: int
    norm: Part = BatchNorm  # of no use here, where the first layer normalizes

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, features]."""
        del train
        return _conv(self.features, 3, padding=1, name="conv")(x)


class DenseNet(linen.Module):
    """`stages` counts the layers of each stage; the defaults are DenseNet-121, of 7,978,856 parameters.

    `width` is that of the stem, 2 · `growth` in the paper. The outputs of stages are neither normalized nor activated.
    Without `bottleneck` (0) and with `compression` 1 it is the plain DenseNet of the paper. `dropout` acts behind each
    convolution of a stage, 0.2 in the paper where images are not augmented; torchvision's behind the last of each layer
    alone. Initialization is He's, as in the paper.
    """

    stages: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    width: int = 64
    bottleneck: int = 4
    compression: float = 0.5
    classes: int = 1000
    stem: Part = DenseNetStem
    norm: Part = BatchNorm
    dropout: float = 0.0

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        layer = partial(DenseLayer, self.growth, bottleneck=self.bottleneck, norm=self.norm, dropout=self.dropout)
        transition = partial(Transition, self.compression, norm=self.norm, dropout=self.dropout)
        x = self.stem(self.width, norm=self.norm, name="stem")(x, train=train)
        for number, blocks in enumerate(self.stages, start=1):
            stage = DenseStage(blocks, layer, transition if number > 1 else None, name=f"stage{number}")
            x = stage(x, train=train)
        x = GlobalAveragePool(name="pool")(relu(self.norm(name="norm")(x, train=train)))
        return Dense(self.classes, kernel_init=initializers.glorot_uniform(), name="logits")(x)


densenet121 = variant(DenseNet)
densenet169 = variant(DenseNet, stages=(6, 12, 32, 32))
densenet201 = variant(DenseNet, stages=(6, 12, 48, 32))
densenet161 = variant(DenseNet, stages=(6, 12, 36, 24), growth=48, width=96)
densenet_bc_100_12 = variant(
    DenseNet, stages=(16, 16, 16), growth=12, width=24, classes=10, stem=DenseNetSmallStem
)  # 769,162 parameters on CIFAR-10
densenet_40_12 = variant(
    DenseNet,
    stages=(12, 12, 12),
    growth=12,
    width=16,
    bottleneck=0,
    compression=1.0,
    classes=10,
    stem=DenseNetSmallStem,
)  # 1,019,722 parameters on CIFAR-10, without bottlenecks and compression


# Names of `densenet121` and the like of torchvision and timm, of four stages.
DENSENET_TORCHVISION = Layout(
    (
        (r"stem/(conv|norm)", r"features.\g<1>0"),
        (r"stage(\d)/transition/(conv|norm)", lambda match: f"features.transition{int(match[1]) - 1}.{match[2]}"),
        (
            r"stage(\d)/block(\d+)/((conv|norm)\d)",
            lambda match: f"features.denseblock{match[1]}.denselayer{int(match[2]) + 1}.{match[3]}",
        ),
        (r"norm", "features.norm5"),
        (r"logits", "classifier"),
    )
)
