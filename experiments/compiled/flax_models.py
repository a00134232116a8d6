"""The networks of configs as a plain user of flax.linen writes them: what fjdl's programs are compared with."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

Activations = Any  # an array, or a tracer of one


class Logistic(nn.Module):
    """One dense layer."""

    classes: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Activations, *, train: bool) -> Activations:
        """[n, ...] to [n, classes]."""
        return nn.Dense(self.classes, dtype=self.dtype)(x.reshape(x.shape[0], -1))


class MLP(nn.Module):
    """Dense layers with ReLU and dropout."""

    hidden: Sequence[int]
    classes: int
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Activations, *, train: bool) -> Activations:
        """[n, ...] to [n, classes]."""
        x = x.reshape(x.shape[0], -1)
        for width in self.hidden:
            x = nn.relu(nn.Dense(width, dtype=self.dtype)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.classes, dtype=self.dtype)(x)


class LeNet(nn.Module):
    """Two convolutions of 5 x 5 with average pools, three dense layers."""

    classes: int
    padding: Sequence[int] = (2, 0)
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Activations, *, train: bool) -> Activations:
        """[n, h, w, channels] to [n, classes]."""
        for features, pad in zip((6, 16), self.padding, strict=True):
            x = nn.relu(nn.Conv(features, (5, 5), padding=((pad, pad), (pad, pad)), dtype=self.dtype)(x))
            x = nn.avg_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        for width in (120, 84):
            x = nn.relu(nn.Dense(width, dtype=self.dtype)(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.classes, dtype=self.dtype)(x)


class BasicBlock(nn.Module):
    """Two convolutions of 3 x 3 and a shortcut: a projection, or zeros for the new channels."""

    features: int
    stride: int
    project: bool
    conv: Any
    norm: Any

    @nn.compact
    def __call__(self, x: Activations) -> Activations:
        """[n, h, w, channels] to [n, h / stride, w / stride, features]."""
        strides = (self.stride, self.stride)
        y = nn.relu(self.norm()(self.conv(self.features, (3, 3), strides)(x)))
        y = self.norm()(self.conv(self.features, (3, 3))(y))
        if x.shape != y.shape and self.project:
            x = self.norm(name="norm_projection")(self.conv(self.features, (1, 1), strides, name="projection")(x))
        elif x.shape != y.shape:
            more = self.features - x.shape[-1]
            x = jnp.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)))
        return nn.relu(x + y)


class BottleneckBlock(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 with the stride, and 1 x 1, whose last scale starts at zero."""

    features: int
    stride: int
    project: bool
    conv: Any
    norm: Any

    @nn.compact
    def __call__(self, x: Activations) -> Activations:
        """[n, h, w, channels] to [n, h / stride, w / stride, 4 features]."""
        strides = (self.stride, self.stride)
        y = nn.relu(self.norm()(self.conv(self.features, (1, 1))(x)))
        y = nn.relu(self.norm()(self.conv(self.features, (3, 3), strides)(y)))
        y = self.norm(scale_init=nn.initializers.zeros)(self.conv(4 * self.features, (1, 1))(y))
        if x.shape != y.shape:
            x = self.norm(name="norm_projection")(self.conv(4 * self.features, (1, 1), strides, name="projection")(x))
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Stem, stages of residual blocks, mean over the image, logits."""

    stages: Sequence[int]
    block: Any
    classes: int
    width: int = 64
    stem: str = "imagenet"  # or small, or small with a pool
    project: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Activations, *, train: bool) -> Activations:
        """[n, h, w, channels] to [n, classes]."""
        conv = partial(nn.Conv, use_bias=False, dtype=self.dtype)
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=self.dtype)
        if self.stem == "imagenet":
            x = conv(self.width, (7, 7), (2, 2), padding=((3, 3), (3, 3)), name="stem")(x)
            x = nn.relu(norm(name="norm_stem")(x))
            x = nn.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        else:
            features = self.width // 2 if self.stem == "pooled" else self.width
            x = conv(features, (3, 3), name="stem")(x)
            x = nn.max_pool(x, (2, 2), strides=(2, 2)) if self.stem == "pooled" else x
            x = nn.relu(norm(name="norm_stem")(x))
        for stage, blocks in enumerate(self.stages):
            for number in range(blocks):
                stride = 2 if stage and not number else 1
                x = self.block(self.width * 2**stage, stride, self.project, conv, norm)(x)
        return nn.Dense(self.classes, dtype=self.dtype)(jnp.mean(x, axis=(1, 2)))
