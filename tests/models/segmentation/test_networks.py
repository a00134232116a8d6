"""Networks of segmentation against PyTorch, with the same weights."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl import models, nn, tree
from fjdl.analysis import total
from fjdl.functional import initializers
from fjdl.functional.conv.transposed import conv_transpose2d
from fjdl.functional.resize import resize2d
from fjdl.transfer.layout import Layout
from tests.models.parity import assert_equals_twin, random_variables
from tests.models.twins import segmentation as twins

KEY = jax.random.key(0)
SAME_NAMES = Layout(((r"(.*)", lambda match: match[1].replace("/", ".")),))
WIDTHS = (4, 6, 8)

VGG = partial(models.VGG, stages=(1, 1, 1), widths=WIDTHS)
RESNET = partial(models.ResNet, stages=(1, 2, 2), block=models.BottleneckBlock, width=4, dilated=2)
DILATED = {"layer2": (1, 2), "layer3": (2, 4)}
STEM = partial(models.ImageNetStem, features=4)


def backbone(*, classes: int = 10) -> Callable[..., linen.Module]:
    return partial(RESNET, stem=STEM, classes=classes)


def fcn() -> models.FCN:
    return models.FCN(3, VGG, names=("pool3", "pool2", "pool1"), factors=(2, 2, 2), hidden=(5, 5), window=3)


@pytest.mark.parametrize(
    ("network", "twin", "shape"),
    [
        (models.UNet(3, WIDTHS), partial(twins.UNet, 2, WIDTHS, 3, norm=True, same=True), (1, 12, 8, 2)),
        (
            models.unet_paper(3, WIDTHS),
            partial(twins.UNet, 2, WIDTHS, 3, norm=False, same=False),
            (1, 44, 52, 2),
        ),
        (
            models.UNet(3, WIDTHS[:2], block=2),
            partial(twins.SquaresUNet, 8, WIDTHS[:2], 12, norm=True, same=True),
            (1, 8, 12, 2),
        ),
        (models.SegNet(3, WIDTHS, (2, 2, 3)), partial(twins.SegNet, 2, WIDTHS, (2, 2, 3), 3), (1, 13, 17, 2)),
        (fcn(), partial(twins.FCN, WIDTHS, 5, 3, window=3), (1, 21, 27, 3)),
    ],
    ids=["U-Net", "U-Net without padding", "U-Net of squares", "SegNet", "FCN-8s"],
)
def test_it_equals_torch(rng: np.random.Generator, network: Any, twin: Any, shape: tuple[int, ...]) -> None:
    assert_equals_twin(nn.pure(network), twin(), rng.standard_normal(shape).astype(np.float32), SAME_NAMES)


def test_heads_over_dilated_features_equal_torchvisions(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 40, 33, 3)).astype(np.float32)
    features = partial(twins.DilatedResNet, (1, 2, 2), 4, DILATED)
    network = models.DenseFCN(3, backbone(), name_of_features="stage3", width=6)
    assert_equals_twin(
        nn.pure(network), twins.OnFeatures(features(), twins.fcn_head(64, 6, 3)), x, models.FCN_TORCHVISION
    )
    network = models.DeepLabV3(3, backbone(), name_of_features="stage3", width=6)
    head = twins.deeplab_head(64, 6, 3, (12, 24, 36))
    assert_equals_twin(nn.pure(network), twins.OnFeatures(features(), head), x, models.DEEPLABV3_TORCHVISION)


@pytest.mark.parametrize(
    ("network", "image", "parameters", "size"),
    [
        (models.unet_paper(2), (572, 572, 1), 31_030_658, (388, 388)),
        (models.fcn_resnet50(21), (224, 224, 3), 32_957_013, (224, 224)),  # torchvision's without its auxiliary head
        (models.deeplabv3_resnet50(21), (224, 224, 3), 39_638_869, (224, 224)),
        (models.deeplabv3plus_resnet50(21), (224, 224, 3), 40_352_181, (224, 224)),
        (models.fcn32s(21), (227, 224, 3), 136_152_917, (227, 224)),
        (models.fcn16s(21), (224, 224, 3), 134_815_994, (224, 224)),
        (models.fcn8s(21), (360, 480, 3), 134_489_759, (360, 480)),
    ],
    ids=["U-Net", "FCN of ResNet-50", "DeepLab v3", "DeepLab v3+", "FCN-32s", "FCN-16s", "FCN-8s"],
)
def test_published_networks_have_their_parameters(
    network: Any, image: tuple[int, ...], parameters: int, size: tuple[int, int]
) -> None:
    model, x = nn.pure(network), jax.ShapeDtypeStruct((1, *image), jnp.float32)
    params, stats = jax.eval_shape(model.init, KEY, x)
    assert tree.count(params) == parameters == total(model.layers(x)).parameters
    logits, _ = jax.eval_shape(model.apply, params, stats, x)
    assert logits.shape == (1, *size, network.classes)


@pytest.mark.parametrize(
    "network",
    [
        models.BackboneUNet(3, partial(VGG, batch_norm=True), ("stage1", "stage2", "stage3"), (4, 4)),
        models.DeepLabV3Plus(3, partial(VGG, batch_norm=True), ("stage1", "stage3"), width=6, narrow=2, rates=(2,)),
        models.segnet_basic(3, widths=(4, 4), convs=(1, 1), window=3),
    ],
    ids=["U-Net over VGG", "DeepLab v3+", "SegNet basic"],
)
def test_pixels_of_any_size_have_logits_that_learn(network: Any) -> None:
    """Statistics move in training alone, every parameter has a gradient, and bfloat16 comes out of bfloat16."""
    model, x = nn.pure(network), jax.random.normal(KEY, (2, 17, 14, 3))
    params, stats = random_variables(model, x)

    @jax.jit
    def step(params: Any, x: Any) -> Any:
        def loss(params: Any) -> Any:
            logits, moved = model.apply(params, stats, x, train=True, key=KEY)
            return jnp.sum(jnp.sin(logits)), (logits, moved)

        return jax.grad(loss, has_aux=True)(params)

    gradient, (logits, moved) = step(params, x)
    assert logits.shape == (2, 17, 14, 3)
    assert tree.digest(moved) != tree.digest(stats)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradient))
    half, kept = jax.eval_shape(model.apply, params, stats, x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    assert jax.tree.structure(kept) == jax.tree.structure(stats)


def test_a_pyramid_of_dilations_keeps_the_size_of_the_features() -> None:
    """Of a map of ones, windows of one pixel and wide ones inside of the image see the same."""
    model, x = nn.pure(models.ASPP(4, (1, 2), dropout=0.0)), jnp.ones((2, 9, 8, 3))
    params, stats = random_variables(model, x)
    y, _ = model.apply(params, stats, x)
    assert y.shape == (2, 9, 8, 4)
    np.testing.assert_allclose(y[:, 2:-2, 2:-2], jnp.broadcast_to(y[:1, 4:5, 4:5], (2, 5, 4, 4)), rtol=1e-4, atol=1e-6)


def test_blocks_and_enlargements_stand_alone(rng: np.random.Generator) -> None:
    """Three windows of 3 pixels without padding take 6 off; an enlargement starts as interpolation."""
    x = rng.standard_normal((1, 9, 8, 2)).astype(np.float32)
    block = nn.pure(models.ConvBlock(5, convs=3, padding="VALID", norm=None))
    params, stats = random_variables(block, x)
    y, _ = block.apply(params, stats, x)
    assert y.shape == (1, 3, 2, 5)
    assert jnp.all(y >= 0)
    upscore = models.Upscore(2)
    larger = upscore.apply(upscore.init(KEY, x, (18, 17)), x, (18, 17))
    np.testing.assert_allclose(larger[:, 1:-1, 1:-2], resize2d(x, size=(18, 16))[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-6)


def test_features_end_the_network_where_the_last_of_them_is_there() -> None:
    class Two(linen.Module):
        @linen.compact
        def __call__(self, x: Any, *, train: bool = False) -> Any:
            return nn.features(models.resnet18(name="backbone"), x, names=("stage2", "stage1"), train=train)

    x = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    params, stats = jax.eval_shape(nn.pure(Two()).init, KEY, x)
    found, _ = jax.eval_shape(nn.pure(Two()).apply, params, stats, x)
    assert sorted(params["backbone"]) == ["stage1", "stage2", "stem"]
    assert {name: leaf.shape for name, leaf in found.items()} == {"stage2": (1, 8, 8, 128), "stage1": (1, 16, 16, 64)}
    assert [row.name for row in nn.pure(Two()).layers(x)][-1].startswith("backbone/stage2")


@pytest.mark.parametrize(
    ("network", "image", "message"),
    [
        (
            models.UNet(2, WIDTHS),
            (8, 10, 1),
            r"^every level must have an even number of rows and columns to halve",
        ),
        (models.UNet(2, WIDTHS, block=4), (8, 10, 1), r"^block must divide height and width, got block 4"),
        (models.BackboneUNet(2, models.resnet18, ("stem",), (4,)), (32, 32, 3), "^widths must be one fewer than na"),
        (models.DenseFCN(2, models.resnet18, "stage9"), (32, 32, 3), "but no part is called stage9"),
        (
            models.DenseFCN(2, partial(models.resnet18, dilated=4)),
            (32, 32, 3),
            r"^dilated must lie in \[0, 3\], got 4",
        ),
        (models.FCN(2, factors=(3, 2, 8)), (32, 32, 3), "^factor must be even, got 3"),
        (models.FCN(2, factors=(2, 4, 8)), (32, 32, 3), "^size must be that of 4 x "),
    ],
)
def test_what_does_not_fit_is_one_sentence(network: Any, image: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(nn.pure(network).init, KEY, jax.ShapeDtypeStruct((1, *image), jnp.float32))


def test_the_bilinear_kernel_interpolates_inside(rng: np.random.Generator) -> None:
    """Away from the border it is `torch.nn.functional.interpolate`, whose equal `resize2d` is."""
    x = rng.standard_normal((1, 5, 6, 2)).astype(np.float32)
    kernel = initializers.bilinear()(KEY, (4, 4, 2, 2))
    larger = conv_transpose2d(x, kernel, stride=2, padding=1)
    np.testing.assert_allclose(larger[:, 1:-1, 1:-1], resize2d(x, size=(10, 12))[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(initializers.bilinear()(KEY, (3, 1, 1))[:, 0, 0], [0.5, 1, 0.5])
    with pytest.raises(ValueError, match=r"^shape must have a window and two axes of channels, got \(3, 3\)$"):
        initializers.bilinear()(KEY, (3, 3))
