"""Totals and rows of residual networks, from their layers by formula."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from fjdl.analysis import Layer, total
from fjdl.models.resnet import (
    resnet18,
    resnet34,
    resnet50,
    resnet50_v1,
    resnet101,
    resnet101_v1,
    resnet152,
    resnet152_v1,
)
from fjdl.models.resnet_cifar import cifar_resnet20
from fjdl.models.wide_resnet import wide_resnet28_10
from fjdl.nn import pure


@cache
def rows(network: Any, size: int = 224) -> dict[str, Layer]:
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    return {row.name: row for row in pure(network()).layers(image)}


@pytest.mark.parametrize(
    ("network", "size", "parameters", "macs", "pooled", "weighted"),
    [
        (resnet18, 224, 11_689_512, 1_814_073_344, 1_831_424, 21),
        (resnet34, 224, 21_797_672, 3_663_761_408, 1_831_424, 37),
        (resnet50, 224, 25_557_032, 4_089_184_256, 1_906_688, 54),
        (resnet50_v1, 224, 25_557_032, 3_857_973_248, 1_906_688, 54),
        pytest.param(resnet101, 224, 44_549_160, 7_801_405_440, 1_906_688, 105, marks=pytest.mark.slow),
        pytest.param(resnet101_v1, 224, 44_549_160, 7_570_194_432, 1_906_688, 105, marks=pytest.mark.slow),
        pytest.param(resnet152, 224, 60_192_808, 11_513_626_624, 1_906_688, 156, marks=pytest.mark.slow),
        pytest.param(resnet152_v1, 224, 60_192_808, 11_282_415_616, 1_906_688, 156, marks=pytest.mark.slow),
        (cifar_resnet20, 32, 269_722, 40_551_040, 4_096, 20),
        (wide_resnet28_10, 32, 36_479_194, 5_243_328_768, 40_960, 29),
    ],
)
def test_totals(network: Any, size: int, parameters: int, macs: int, pooled: int, weighted: int) -> None:
    layers = list(rows(network, size).values())
    whole = total(layers)
    assert (whole.parameters, whole.macs, whole.pool_operations) == (parameters, macs, pooled)
    assert sum(layer.macs > 0 for layer in layers) == weighted  # the layers of the name, and the projections


def test_e76_a_max_pool_follows_the_stem_and_a_dense_layer_the_mean() -> None:
    table = rows(resnet34)
    assert [(name, row.output) for name, row in table.items() if row.pool_operations or row.name == "logits"] == [
        ("stem/pool", (56, 56, 64)),
        ("pool", (512,)),
        ("logits", (1000,)),
    ]
    assert (table["stem/pool"].pool_operations, table["pool"].pool_operations) == (56 * 56 * 64 * 9, 7 * 7 * 512)
    assert table["logits"].parameters == 513_000


def test_e76_34_counts_the_layers_with_weights_without_the_projections() -> None:
    weighted = [name for name, row in rows(resnet34).items() if row.macs and "shortcut" not in name]
    assert len(weighted) == 34


def test_rows_of_resnet_50_by_hand() -> None:
    table = rows(resnet50)
    for name, output, parameters, macs in (
        ("stem/conv", (112, 112, 64), 9_408, 118_013_952),
        ("stem/norm", (112, 112, 64), 128, 0),
        ("stage1/block0/conv1", (56, 56, 64), 4_096, 12_845_056),
        ("stage1/block0/shortcut/conv", (56, 56, 256), 16_384, 51_380_224),
        ("stage2/block0/conv1", (56, 56, 128), 32_768, 102_760_448),
        ("stage2/block0/conv2", (28, 28, 128), 147_456, 115_605_504),
        ("stage4/block2/conv3", (7, 7, 2048), 1_048_576, 51_380_224),
        ("logits", (1000,), 2_049_000, 2_048_000),
    ):
        assert (table[name].output, table[name].parameters, table[name].macs) == (output, parameters, macs)


def test_the_stride_on_the_first_convolution_saves_three_quarters_of_it() -> None:
    first, second = (rows(network)["stage2/block0/conv1"] for network in (resnet50_v1, resnet50))
    assert (first.output, first.macs * 4) == ((28, 28, 128), second.macs)
    assert rows(resnet50_v1)["stage2/block0/conv2"] == rows(resnet50)["stage2/block0/conv2"]


def test_half_the_size_and_twice_the_features_cost_the_same() -> None:
    table = rows(resnet34)
    assert {table[f"stage{i}/block1/conv1"].macs for i in (1, 2, 3, 4)} == {115_605_504}
