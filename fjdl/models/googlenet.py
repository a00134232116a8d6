"""GoogLeNet (Szegedy et al. 2015, arXiv:1409.4842), as in the paper and with batch norm as in torchvision."""

import re
from functools import partial

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.models.inception_modules import ConvUnit, Inception, InceptionNorm, Part
from fjdl.models.variant import variant
from fjdl.nn import (
    AdaptiveAveragePool,
    AveragePool,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    LocalResponseNorm,
    MaxPool,
)
from fjdl.transfer.layout import Layout
from fjdl.typing import Array

Widths = tuple[int, int, int, int, int, int]

_STAGE3: tuple[Widths, ...] = ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64))
_STAGE4: tuple[Widths, ...] = (
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
)
_STAGE5: tuple[Widths, ...] = ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))


class GoogLeNetStem(linen.Module):
    """A 3x3 max pool that halves the image, and 1x1 and 3x3 convolutions; without `norm`, local response norms."""

    features: int = 192
    reduced: int = 64
    norm: Part | None = None

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, ~h / 2, ~w / 2, features]."""
        x = MaxPool(3, stride=2, ceil_mode=True, name="pool")(x)
        x = x if self.norm else LocalResponseNorm(name="lrn1")(x)
        x = ConvUnit(self.reduced, 1, norm=self.norm, name="reduce")(x, train=train)
        x = ConvUnit(self.features, 3, padding=1, norm=self.norm, name="conv")(x, train=train)
        return x if self.norm else LocalResponseNorm(name="lrn2")(x)


class InceptionStage(linen.Module):
    """A max pool that halves the image and an `Inception` module for each row of `widths`.

    `pool` is its window and `window` that of the modules' third branch.
    """

    widths: tuple[Widths, ...]
    pool: int = 3
    window: int = 5
    norm: Part | None = None

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False, blocks: range | None = None) -> Array:
        """[n, h, w, channels] to [n, ~h / 2, ~w / 2, features]; only some of the blocks where `blocks` says which.

        The pool goes with the first block.
        """
        for index in range(len(self.widths)) if blocks is None else blocks:
            if index == 0:
                x = MaxPool(self.pool, stride=2, ceil_mode=True, name="pool")(x)
            block = Inception(self.widths[index], window=self.window, norm=self.norm, name=f"block{index}")
            x = block(x, train=train)
        return x


class GoogLeNetHead(linen.Module):
    """An auxiliary classifier: average pool, 1x1 convolution, a dense layer of 1024 and one of `classes`."""

    classes: int = 1000
    pool: Part = partial(AveragePool, window=5, stride=3)
    norm: Part | None = None
    dropout: float = 0.7

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        x = ConvUnit(128, 1, norm=self.norm, name="conv")(self.pool(name="pool")(x), train=train)
        x = Flatten(name="flatten")(x)
        x = relu(Dense(1024, kernel_init=initializers.he_normal(), name="dense")(x))
        x = Dropout(self.dropout, name="dropout")(x, train=train)
        return Dense(self.classes, kernel_init=initializers.glorot_uniform(), name="logits")(x)


class GoogLeNet(linen.Module):
    """6,998,552 parameters and 1,582,671,872 MACs on images of 224 x 224: the paper's table 1, with biases.

    Stages are numbered as there, so that `stage4/block0` is its module 4a. Pools round sizes up. The paper gives no
    constants of local response norm, which are AlexNet's here, and no initialization, which is He's; biases start at 0.
    `auxiliary` adds the classifiers behind 4a and 4d; the outputs are then, in training and in evaluation, a dictionary
    of "logits", "auxiliary1" and "auxiliary2". The paper adds 0.3 of each auxiliary loss.
    """

    classes: int = 1000
    auxiliary: bool = False
    norm: Part | None = None
    window: int = 5  # of the third branch of each module
    last_pool: int = 3  # window of the pool before stage 5
    auxiliary_pool: Part = partial(AveragePool, window=5, stride=3)
    dropout: float = 0.4
    auxiliary_dropout: float = 0.7

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array | dict[str, Array]:
        """[n, h, w, channels] to [n, classes], or to three such by name."""
        stage = partial(InceptionStage, window=self.window, norm=self.norm)
        x = ConvUnit(64, 7, stride=2, padding=3, norm=self.norm, name="stage1")(x, train=train)
        x = GoogLeNetStem(norm=self.norm, name="stage2")(x, train=train)
        x = stage(_STAGE3, name="stage3")(x, train=train)
        x, heads = self._with_heads(stage(_STAGE4, name="stage4"), x, train)
        x = stage(_STAGE5, pool=self.last_pool, name="stage5")(x, train=train)
        x = Dropout(self.dropout, name="dropout")(GlobalAveragePool(name="pool")(x), train=train)
        logits = Dense(self.classes, kernel_init=initializers.glorot_uniform(), name="logits")(x)
        return {"logits": logits, **heads} if self.auxiliary else logits

    def _with_heads(self, stage: InceptionStage, x: Array, train: bool) -> tuple[Array, dict[str, Array]]:
        """The stage's output, and the logits of the classifiers behind its blocks 0 and 3."""
        if not self.auxiliary:
            return stage(x, train=train), {}
        head = partial(GoogLeNetHead, self.classes, self.auxiliary_pool, self.norm, self.auxiliary_dropout)
        heads = {}
        for name, blocks in (("auxiliary1", range(1)), ("auxiliary2", range(1, 4))):
            x = stage(x, train=train, blocks=blocks)
            heads[name] = head(name=name)(x, train=train)
        return stage(x, train=train, blocks=range(4, len(stage.widths))), heads


# The variant of torchvision: batch norm in place of biases and of local response norms, 3x3 convolutions in place of
# 5x5, a 2x2 pool before stage 5, other pools before the auxiliary classifiers, and less dropout. 6,624,904 parameters
# and 1,498,376,192 MACs. Initialization is ours.
googlenet_batch_norm = variant(
    GoogLeNet,
    norm=InceptionNorm,
    window=3,
    last_pool=2,
    auxiliary_pool=partial(AdaptiveAveragePool, size=4),
    dropout=0.2,
)


def _torchvision_block(match: re.Match[str]) -> str:
    stage, block, unit, leaf = match.groups()
    branch = {
        "conv1x1": "branch1",
        "reduce3x3": "branch2.0",
        "conv3x3": "branch2.1",
        "reduce5x5": "branch3.0",
        "conv5x5": "branch3.1",
        "project": "branch4.1",
    }[unit]
    return f"inception{stage}{chr(ord('a') + int(block))}.{branch}.{'bn' if leaf == 'norm' else leaf}"


# Names of torchvision's `googlenet`, whose published weights have the auxiliary classifiers.
GOOGLENET_TORCHVISION = Layout(
    (
        (r"stage(\d)/block(\d)/(\w+)/(conv|norm)", _torchvision_block),
        (r"stage1/conv", "conv1.conv"),
        (r"stage1/norm", "conv1.bn"),
        (r"stage2/reduce/conv", "conv2.conv"),
        (r"stage2/reduce/norm", "conv2.bn"),
        (r"stage2/conv/conv", "conv3.conv"),
        (r"stage2/conv/norm", "conv3.bn"),
        (r"auxiliary(\d)/conv/conv", r"aux\1.conv.conv"),
        (r"auxiliary(\d)/conv/norm", r"aux\1.conv.bn"),
        (r"auxiliary(\d)/dense", r"aux\1.fc1"),
        (r"auxiliary(\d)/logits", r"aux\1.fc2"),
        (r"logits", "fc"),
    ),
    flattened={"auxiliary1/dense": (4, 4), "auxiliary2/dense": (4, 4)},
)
