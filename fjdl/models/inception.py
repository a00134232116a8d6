"""Inception-v3 (Szegedy et al. 2016, arXiv:1512.00567)."""

import re
from functools import partial

from flax import linen

from fjdl.functional import initializers
from fjdl.models.inception_modules import (
    ConvUnit,
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
    InceptionNorm,
    Part,
)
from fjdl.nn import AveragePool, Dense, Dropout, GlobalAveragePool, MaxPool
from fjdl.transfer.layout import Layout
from fjdl.typing import Array


class InceptionV3Stem(linen.Module):
    """Three 3x3 convolutions, the first of stride 2: [n, 299, 299, 3] to [n, 147, 147, 64]."""

    unit: Part = ConvUnit

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌊(h - 1) / 2⌋ - 2, ⌊(w - 1) / 2⌋ - 2, 64]."""
        x = self.unit(32, 3, stride=2, name="conv1")(x, train=train)
        x = self.unit(32, 3, name="conv2")(x, train=train)
        return self.unit(64, 3, padding=1, name="conv3")(x, train=train)


class InceptionV3Reduction(linen.Module):
    """A max pool that halves the image, a 1x1 and a 3x3 convolution: [n, 147, 147, 64] to [n, 71, 71, 192]."""

    unit: Part = ConvUnit

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌊(h - 1) / 2⌋ - 2, ⌊(w - 1) / 2⌋ - 2, 192]."""
        x = MaxPool(3, stride=2, name="pool")(x)
        x = self.unit(80, 1, name="conv1")(x, train=train)
        return self.unit(192, 3, name="conv2")(x, train=train)


class InceptionV3Stage(linen.Module):
    """The given blocks one after another, behind a max pool that halves the image where `pool` says so."""

    blocks: tuple[Part, ...]
    unit: Part = ConvUnit
    pool: bool = False

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ⌊(h - 1) / 2⌋, ⌊(w - 1) / 2⌋, features]."""
        if self.pool:
            x = MaxPool(3, stride=2, name="pool")(x)
        for index, block in enumerate(self.blocks):
            x = block(unit=self.unit, name=f"block{index}")(x, train=train)
        return x


class InceptionV3Head(linen.Module):
    """The auxiliary classifier: average pool, 1x1 and 5x5 convolutions, mean over the image, `classes` logits."""

    classes: int = 1000
    unit: Part = ConvUnit

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        x = AveragePool(5, stride=3, name="pool")(x)
        x = self.unit(128, 1, name="conv1")(x, train=train)
        x = self.unit(768, 5, kernel_init=initializers.truncated_normal(0.01), name="conv2")(x, train=train)
        x = GlobalAveragePool(name="mean")(x)
        return Dense(self.classes, kernel_init=initializers.truncated_normal(0.001), name="logits")(x)


class InceptionV3(linen.Module):
    """23,834,568 parameters, 27,161,264 with the auxiliary classifier; images of 299 x 299, at least 75 x 75.

    Stages are numbered by the size of the image: `stage3/block0` is torchvision's Mixed_5b, `stage4/block0` Mixed_6a,
    `stage5/block0` Mixed_7a. Kernels start normal with deviation 0.1, those of the logits 0.01, cut at two deviations,
    where torchvision cuts far out. Averages count the padding of their branch as zeros and dropout is 0.5, as in
    torchvision. `auxiliary` adds the classifier behind stage 4, with batch norm; the outputs are then, in training and
    in evaluation, a dictionary of "logits" and "auxiliary", whose loss usually counts 0.4.
    """

    classes: int = 1000
    auxiliary: bool = False
    norm: Part = InceptionNorm
    dropout: float = 0.5

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array | dict[str, Array]:
        """[n, h, w, channels] to [n, classes], or to two such by name."""
        unit = partial(ConvUnit, norm=self.norm, kernel_init=initializers.truncated_normal(0.1))
        x = InceptionV3Stem(unit, name="stage1")(x, train=train)
        x = InceptionV3Reduction(unit, name="stage2")(x, train=train)
        x = InceptionV3Stage(_STAGE3, unit, pool=True, name="stage3")(x, train=train)
        x = InceptionV3Stage(_STAGE4, unit, name="stage4")(x, train=train)
        head = InceptionV3Head(self.classes, unit, name="auxiliary")(x, train=train) if self.auxiliary else None
        x = InceptionV3Stage(_STAGE5, unit, name="stage5")(x, train=train)
        x = Dropout(self.dropout, name="dropout")(GlobalAveragePool(name="pool")(x), train=train)
        logits = Dense(self.classes, kernel_init=initializers.truncated_normal(0.01), name="logits")(x)
        return logits if head is None else {"logits": logits, "auxiliary": head}


_STAGE3: tuple[Part, ...] = tuple(partial(InceptionA, projected) for projected in (32, 64, 64))
_STAGE4: tuple[Part, ...] = (InceptionB, *(partial(InceptionC, inner) for inner in (128, 160, 160, 192)))
_STAGE5: tuple[Part, ...] = (InceptionD, InceptionE, InceptionE)


def _torchvision_block(match: re.Match[str]) -> str:
    stage, block, branch, leaf = match.groups()
    first = {"3": "b", "4": "a", "5": "a"}[stage]
    return f"Mixed_{int(stage) + 2}{chr(ord(first) + int(block))}.{branch}.{'bn' if leaf == 'norm' else leaf}"


def _torchvision_unit(match: re.Match[str]) -> str:
    unit, leaf = match.groups()
    name = {
        "stage1/conv1": "Conv2d_1a_3x3",
        "stage1/conv2": "Conv2d_2a_3x3",
        "stage1/conv3": "Conv2d_2b_3x3",
        "stage2/conv1": "Conv2d_3b_1x1",
        "stage2/conv2": "Conv2d_4a_3x3",
        "auxiliary/conv1": "AuxLogits.conv0",
        "auxiliary/conv2": "AuxLogits.conv1",
    }[unit]
    return f"{name}.{'bn' if leaf == 'norm' else leaf}"


# Names of `inception_v3` of torchvision, whose published weights have the auxiliary classifier, and of timm.
INCEPTION_V3_TORCHVISION = Layout(
    (
        (r"stage(\d)/block(\d)/(\w+)/(conv|norm)", _torchvision_block),
        (r"(\w+/conv\d)/(conv|norm)", _torchvision_unit),
        (r"auxiliary/logits", "AuxLogits.fc"),
        (r"logits", "fc"),
    )
)
