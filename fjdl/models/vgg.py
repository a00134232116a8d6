"""VGG (Simonyan & Zisserman 2014, arXiv:1409.1556): stages of 3 x 3 convolutions, each before a 2 x 2 pool."""

from flax import linen

from fjdl.functional import initializers
from fjdl.functional.activations import relu
from fjdl.models.variant import variant
from fjdl.nn import BatchNorm, Conv, Dense, Dropout, Flatten, GlobalAveragePool, MaxPool
from fjdl.transfer.layout import Layout
from fjdl.typing import Array

Initializer = initializers.Initializer


class VGGStage(linen.Module):
    """`convs` convolutions of 3 x 3 with ReLUs, which keep the size of the image; `batch_norm` stands before ReLUs."""

    convs: int
    width: int
    batch_norm: bool = False
    kernel_init: Initializer = initializers.glorot_uniform()

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, h, w, width]."""
        for block in range(self.convs):
            x = Conv(self.width, window=3, padding=1, kernel_init=self.kernel_init, name=f"conv{block}")(x)
            if self.batch_norm:
                x = BatchNorm(name=f"norm{block}")(x, train=train)
            x = relu(x)
        return x


class VGG(linen.Module):
    """VGG of any depth, configuration D (16 layers with weights) unless told: 138,357,544 parameters.

    `stages` are the numbers of convolutions, `hidden` the widths of the dense layers before the logits, with dropout
    after each. With `convolutional_head` they are convolutions, the first of 7 x 7, and their features are averaged
    over positions before the logits: the dense network slid over images of 224 x 224 or more. The convolutional kernel
    of `fc6` is the dense one reshaped to [7, 7, 512, 4096].

    Glorot's initialization is the one that the authors found to train without pretrained layers; torchvision has
    He's by fan-out, and N(0, 0.01²) in dense layers.
    """

    classes: int = 1000
    stages: tuple[int, ...] = (2, 2, 3, 3, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: tuple[int, ...] = (4096, 4096)
    batch_norm: bool = False
    convolutional_head: bool = False
    dropout: float = 0.5
    kernel_init: Initializer = initializers.glorot_uniform()

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """[n, h, w, channels] to [n, classes]."""
        for number, (convs, width) in enumerate(zip(self.stages, self.widths, strict=True), start=1):
            x = VGGStage(convs, width, self.batch_norm, self.kernel_init, name=f"stage{number}")(x, train=train)
            x = MaxPool(window=2, name=f"pool{number}")(x)
        if not self.convolutional_head:
            x = Flatten(name="flatten")(x)
        for number, width in enumerate(self.hidden):
            x = relu(self._hidden(number, width)(x))
            x = Dropout(self.dropout, name=f"dropout{number + 6}")(x, train=train)
        if self.convolutional_head:
            x = GlobalAveragePool(name="pool")(x)
        return Dense(self.classes, kernel_init=self.kernel_init, name="logits")(x)

    def _hidden(self, number: int, width: int) -> Conv | Dense:
        if not self.convolutional_head:
            return Dense(width, kernel_init=self.kernel_init, name=f"fc{number + 6}")
        window = 1 if number else 7
        return Conv(width, window=window, padding="VALID", kernel_init=self.kernel_init, name=f"fc{number + 6}")


# The paper's configurations A, B, D and E; `vgg16(batch_norm=True)` and so on have batch norm.
vgg11 = variant(VGG, stages=(1, 1, 2, 2, 2))
vgg13 = variant(VGG, stages=(2, 2, 2, 2, 2))
vgg16 = variant(VGG, stages=(2, 2, 3, 3, 3))
vgg19 = variant(VGG, stages=(2, 2, 4, 4, 4))

# For 32 x 32 images: batch norm, and the logits right after the last pool.
vgg16_cifar = variant(vgg16, classes=10, hidden=(), batch_norm=True)


def vgg_torchvision(network: VGG, *, image: int = 224) -> Layout:
    """The names of torchvision's `vgg11` to `vgg19_bn` for a network of this form on images of `image` rows.

    Without `hidden` layers the logits are called `classifier`. Raises `ValueError` for a convolutional head.
    """
    if network.convolutional_head:
        raise ValueError("convolutional_head must be False for torchvision's names, got True")
    dense = [f"fc{number + 6}" for number in range(len(network.hidden))] + ["logits"]
    names = ["classifier"] if len(dense) == 1 else [f"classifier.{3 * number}" for number in range(len(dense))]
    rows = image // 2 ** len(network.stages)
    return Layout(renames=(*_features(network), *zip(dense, names, strict=True)), flattened={dense[0]: (rows, rows)})


def vgg_timm(network: VGG) -> Layout:
    """The names of timm's `vgg11` to `vgg19_bn`, whose head is convolutional.

    Raises `ValueError` for a dense head.
    """
    if not network.convolutional_head:
        raise ValueError("convolutional_head must be True for timm's names, got False")
    return Layout(
        renames=(*_features(network), ("fc6", "pre_logits.fc1"), ("fc7", "pre_logits.fc2"), ("logits", "head.fc"))
    )


def _features(network: VGG) -> list[tuple[str, str]]:
    """Our names and theirs, which number all convolutions, norms, ReLUs and pools in a row."""
    norms = ["norm"] if network.batch_norm else []
    layers = []
    for stage, convs in enumerate(network.stages, start=1):
        layers += [f"stage{stage}/{part}{block}" for block in range(convs) for part in ("conv", *norms, "relu")]
        layers.append(f"pool{stage}")
    return [(name, f"features.{i}") for i, name in enumerate(layers) if "relu" not in name and "pool" not in name]
