"""Tables of LeNet-5, AlexNet, ZFNet and VGG: a row is its output, parameters, MACs and operations of pools."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from fjdl import analysis
from fjdl.analysis import Layer
from fjdl.functional.conv.conv2d import conv2d
from fjdl.models.alexnet import AlexNet, alexnet_paper
from fjdl.models.lenet import LeNet5, LeNet5_1998
from fjdl.models.vgg import vgg16, vgg19
from fjdl.models.zfnet import ZFNet, zfnet_paper
from fjdl.nn import pure

Row = tuple[str, tuple[int, ...], int, int]


def table(network: linen.Module, size: int, *, channels: int = 3) -> dict[str, Layer]:
    rows = pure(network).layers(jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32))
    return {row.name: row for row in rows}


def rows(network: linen.Module, size: int, *, channels: int = 3) -> list[Row]:
    """Name, output, parameters, and operations: MACs, or what a pool reads."""
    found = table(network, size, channels=channels).values()
    return [(row.name, row.output, row.parameters, row.macs + row.pool_operations) for row in found]


def totals(network: linen.Module, size: int, *, channels: int = 3) -> tuple[int, int, int]:
    whole = analysis.total(list(table(network, size, channels=channels).values()))
    return whole.parameters, whole.macs, whole.pool_operations


def conv_weights(channels: int, window: Any) -> int:
    return analysis.conv_layer((9, 9, channels), features=channels, kernel=window, bias=False).parameters


@pytest.mark.parametrize("channels", [1, 64])
def test_w43_two_3x3_have_18_and_one_5x5_25_and_3x1_with_1x3_6_and_one_3x3_9_weights(channels: int) -> None:
    square = channels**2
    assert (2 * conv_weights(channels, 3), conv_weights(channels, 5)) == (18 * square, 25 * square)
    assert conv_weights(channels, (3, 1)) + conv_weights(channels, (1, 3)) == 6 * square
    assert conv_weights(channels, 3) == 9 * square


def test_w44_half_the_rows_and_columns_and_twice_the_channels_cost_the_same() -> None:
    wide = analysis.conv_layer((56, 56, 256), features=256, kernel=3, padding=1)
    deep = analysis.conv_layer((28, 28, 512), features=512, kernel=3, padding=1)
    assert wide.macs == deep.macs == 56 * 56 * 256 * 9 * 256
    found = table(vgg16(), 224)
    assert found["stage3/conv1"].macs == found["stage4/conv1"].macs == wide.macs


def test_e62_a_mac_is_two_flops_and_both_are_reported() -> None:
    found = analysis.total(list(table(LeNet5(), 28, channels=1).values()))
    assert (found.macs, found.pool_operations, found.flops) == (416_520, 6_304, 2 * 416_520 + 6_304)
    line = analysis.format_table([found]).split("\n")[-1].split()
    assert line[-3:] == ["416,520", "6,304", "839,344"]


def test_e63_the_first_pool_of_lenet_reads_4704_entries() -> None:
    assert rows(LeNet5(), 28, channels=1) == [
        ("conv1", (28, 28, 6), 156, 117_600),
        ("pool1", (14, 14, 6), 0, 4_704),
        ("conv2", (10, 10, 16), 2_416, 240_000),
        ("pool2", (5, 5, 16), 0, 1_600),
        ("flatten", (400,), 0, 0),
        ("dense1", (120,), 48_120, 48_000),
        ("dense2", (84,), 10_164, 10_080),
        ("logits", (10,), 850, 840),
    ]
    assert totals(LeNet5(), 28, channels=1) == (61_706, 416_520, 6_304)


def test_e63_lenet_of_1998_has_1516_parameters_in_c3_and_340908_connections() -> None:
    found = table(LeNet5_1998(), 32, channels=1)
    assert found["c3"].parameters == 1_516
    assert (found["s2"].parameters, found["s4"].parameters) == (12, 32)
    weighted = [row for name, row in found.items() if name in ("c1", "c3", "c5", "f6")]
    biases = sum(int(np.prod(row.output)) for row in weighted)  # of pools: one for each coefficient, which is a MAC
    _, macs, pool_operations = totals(LeNet5_1998(), 32, channels=1)
    assert macs + pool_operations + biases == 340_908


def test_e64_conv1_of_alexnet_has_34944_parameters() -> None:
    assert rows(AlexNet(), 227) == [
        ("conv1", (55, 55, 96), 34_944, 105_415_200),
        ("pool1", (27, 27, 96), 0, 629_856),
        ("conv2", (27, 27, 256), 614_656, 447_897_600),
        ("pool2", (13, 13, 256), 0, 389_376),
        ("conv3", (13, 13, 384), 885_120, 149_520_384),
        ("conv4", (13, 13, 384), 1_327_488, 224_280_576),
        ("conv5", (13, 13, 256), 884_992, 149_520_384),
        ("pool5", (6, 6, 256), 0, 82_944),
        ("flatten", (9216,), 0, 0),
        ("fc6", (4096,), 37_752_832, 37_748_736),
        ("fc7", (4096,), 16_781_312, 16_777_216),
        ("logits", (1000,), 4_097_000, 4_096_000),
    ]
    assert totals(AlexNet(), 227) == (62_378_344, 1_135_256_096, 1_102_176)


def test_alexnet_of_two_groups_has_60965224_parameters() -> None:
    assert totals(alexnet_paper(), 227) == (60_965_224, 724_406_816, 1_102_176)


def test_e65_e66_e67_e68_the_rows_of_zfnet() -> None:
    found = rows(ZFNet(), 224)
    assert found[:2] == [("conv1", (110, 110, 96), 14_208, 170_755_200), ("pool1", (55, 55, 96), 0, 2_613_600)]
    assert found[2] == ("conv2", (26, 26, 256), 614_656, 415_334_400)  # stride 2 without padding, not "same"
    assert found[3] == ("pool2", (13, 13, 256), 0, 389_376)  # not 0.09 million
    assert found[4:6] == [
        ("conv3", (13, 13, 512), 1_180_160, 199_360_512),
        ("conv4", (13, 13, 1024), 4_719_616, 797_442_048),
    ]
    assert found[6] == ("conv5", (13, 13, 512), 4_719_104, 797_442_048)  # not conv4's 4,719,616
    assert found[7:9] == [("pool5", (6, 6, 512), 0, 165_888), ("flatten", (18_432,), 0, 0)]
    assert found[9] == ("fc6", (4096,), 75_501_568, 75_497_472)  # not 75,515,904
    assert found[10:] == [("fc7", (4096,), 16_781_312, 16_777_216), ("logits", (1000,), 4_097_000, 4_096_000)]
    assert totals(ZFNet(), 224) == (107_627_624, 2_476_704_896, 3_168_864)


def test_e69_conv5_has_512_features_where_alexnet_has_256_and_the_paper_of_zfnet_too() -> None:
    widths = [table(network, 224)["conv5"].output[-1] for network in (ZFNet(), zfnet_paper())]
    assert [*widths, table(AlexNet(), 227)["conv5"].output[-1]] == [512, 256, 256]
    assert totals(zfnet_paper(), 224)[0] == 62_357_608


def test_e70_two_3x3_see_a_5x5_region_of_the_input() -> None:
    kernel = jnp.ones((3, 3, 1, 1))
    x = jnp.ones((1, 11, 11, 1))
    gradient = jax.grad(lambda x: conv2d(conv2d(x, kernel, padding=1), kernel, padding=1)[0, 5, 5, 0])(x)
    seen = np.argwhere(np.asarray(gradient[0, :, :, 0]))
    np.testing.assert_array_equal([seen.min(axis=0), seen.max(axis=0)], [[3, 3], [7, 7]])
    assert analysis.receptive_field([analysis.Window(3)] * 2).size == 5


def test_e71_channels_double_after_each_pool_but_the_last() -> None:
    found = table(vgg19(), 224)
    widths = [found[f"stage{stage}/conv0"].output[-1] for stage in range(1, 6)]
    assert widths == [64, 128, 256, 512, 512]


def test_e72_vgg16_costs_15_47_billion_macs_which_are_30_9_billion_flops() -> None:
    parameters, macs, pool_operations = totals(vgg16(), 224)
    assert (parameters, macs) == (138_357_544, 15_470_264_320)
    found = table(vgg16(), 224)
    dense = sum(found[name].macs for name in ("fc6", "fc7", "logits"))
    assert (macs - dense, dense) == (15_346_630_656, 123_633_664)
    assert round((2 * macs + pool_operations) / 1e9, 1) == 30.9
    assert totals(vgg19(), 224)[:2] == (143_667_240, 19_632_062_464)
