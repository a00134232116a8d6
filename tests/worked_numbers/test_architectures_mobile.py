"""Parameters and operations of the mobile and modern networks; MACs are counted once for each multiply-accumulate."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from fjdl.analysis import conv_layer, total
from fjdl.models.convnext import convnext_base, convnext_large, convnext_small, convnext_tiny
from fjdl.models.efficientnet import efficientnet_b0, efficientnet_b1, efficientnet_b7
from fjdl.models.mobilenet import DepthwiseSeparable, MobileNet
from fjdl.models.mobilenet_v2 import MobileNetV2
from fjdl.nn import pure
from tests.models.twins.full_size import abstract, images


def costs(network: Any, size: int = 224) -> tuple[int, int, int]:
    whole = total(abstract(network)[0] if size == 224 else pure(network).layers(images(size)))
    return whole.parameters, whole.macs, whole.pool_operations


@pytest.mark.parametrize(
    ("alpha", "parameters", "macs", "rounded"),
    [
        (1.0, 4_231_976, 568_740_352, 568.7),
        (0.75, 2_585_560, 325_400_448, 325.4),
        (0.5, 1_331_592, 149_497_088, 149.5),
        (0.25, 470_072, 41_030_272, 41.0),
    ],
)
def test_mobilenet_by_width(alpha: float, parameters: int, macs: int, rounded: float) -> None:
    assert costs(MobileNet(alpha=alpha)) == (parameters, macs, 7 * 7 * int(1024 * alpha))
    assert round(macs / 1e6, 1) == rounded


@pytest.mark.parametrize(("size", "millions"), [(224, 569), (192, 418), (160, 291), (128, 186)])
def test_mobilenet_by_resolution(size: int, millions: int) -> None:
    """The paper's table has 569, 418, 290 (cut off, it is 290.7) and 186 millions."""
    parameters, macs, _ = costs(MobileNet(), size)
    assert parameters == 4_231_976
    assert round(macs / 1e6) == millions


def test_depthwise_separable_costs_a_ninth_and_one_part_in_the_features_of_the_full_convolution() -> None:
    """At 14 x 14 with 512 channels, the layer that the paper takes for its example."""
    x = jax.ShapeDtypeStruct((1, 14, 14, 512), jnp.float32)
    separable = total(pure(DepthwiseSeparable(512)).layers(x)).macs
    full = conv_layer((14, 14, 512), features=512, kernel=3, padding=1, bias=False).macs
    assert separable == 14 * 14 * (9 * 512 + 512 * 512)
    assert Fraction(separable, full) == Fraction(1, 512) + Fraction(1, 9)


@pytest.mark.by_day_on_pin(1)
def test_mobilenet_v2() -> None:
    """The paper says 3.4 million parameters and 300 million MACs, 6.9 and 585 at width 1.4."""
    assert costs(MobileNetV2()) == (3_504_872, 300_774_272, 7 * 7 * 1280)
    assert costs(MobileNetV2(alpha=1.4)) == (6_108_776, 582_195_824, 7 * 7 * 1792)


def test_an_inverted_residual_by_hand() -> None:
    """Stage 2 begins with 16 channels at 112 x 112: 96 wide, stride 2, then 24."""
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    layers = {layer.name: layer for layer in pure(MobileNetV2()).layers(x)}
    parts = [layers[f"stage2/block0/{part}/conv"].macs for part in ("expand", "depthwise", "project")]
    assert parts == [112 * 112 * 16 * 96, 56 * 56 * 9 * 96, 56 * 56 * 96 * 24]


@pytest.mark.parametrize(
    ("network", "size", "parameters", "macs", "billions"),
    [
        (efficientnet_b0, 224, 5_288_548, 385_814_752, 0.39),
        pytest.param(efficientnet_b1, 240, 7_794_184, 686_802_832, 0.69, marks=pytest.mark.slow),
        pytest.param(efficientnet_b7, 600, 66_347_960, 37_745_884_192, 37.75, marks=pytest.mark.slow),
    ],
    ids=["b0", "b1", "b7"],
)
def test_efficientnet(network: Any, size: int, parameters: int, macs: int, billions: float) -> None:
    """The paper says 0.39, 0.70 and 37 billions of MACs."""
    assert costs(network(), size)[:2] == (parameters, macs)
    assert round(macs / 1e9, 2) == billions


@pytest.mark.parametrize(
    ("network", "parameters", "macs", "billions"),
    [
        (convnext_tiny, 28_589_128, 4_455_531_264, 4.5),
        pytest.param(convnext_small, 50_223_688, 8_683_712_256, 8.7, marks=pytest.mark.slow),
        pytest.param(convnext_base, 88_591_464, 15_354_729_472, 15.4, marks=pytest.mark.slow),
        pytest.param(convnext_large, 197_767_336, 34_361_433_600, 34.4, marks=pytest.mark.slow),
    ],
    ids=["tiny", "small", "base", "large"],
)
def test_convnext(network: Any, parameters: int, macs: int, billions: float) -> None:
    """The paper's table has the same rounded numbers: 4.5, 8.7, 15.4 and 34.4 billions."""
    assert costs(network())[:2] == (parameters, macs)
    assert round(macs / 1e9, 1) == billions
