from functools import partial

import jax
import jax.numpy as jnp
import pytest
import torch

from fjdl import analysis

LENET = [
    partial(analysis.conv_layer, features=6, kernel=5, name="conv1"),
    partial(analysis.pool_layer, window=2, name="pool1"),
    partial(analysis.conv_layer, features=16, kernel=5, name="conv2"),
    partial(analysis.pool_layer, window=2, name="pool2"),
    analysis.flatten_layer,
    partial(analysis.dense_layer, features=120, name="dense1"),
    partial(analysis.dense_layer, features=84, name="dense2"),
    partial(analysis.dense_layer, features=10, name="dense3"),
]
TABLE = """\
layer    output    parameters     MACs  pool ops    FLOPs
conv1    28×28×6          156  117,600         0  235,200
pool1    14×14×6            0        0     4,704    4,704
conv2    10×10×16       2,416  240,000         0  480,000
pool2    5×5×16             0        0     1,600    1,600
flatten  400                0        0         0        0
dense1   120           48,120   48,000         0   96,000
dense2   84            10,164   10,080         0   20,160
dense3   10               850      840         0    1,680
total    10            61,706  416,520     6,304  839,344"""


def test_lenet_5_row_by_row() -> None:
    layers = analysis.stack((32, 32, 1), LENET)
    assert [(layer.output, layer.parameters, layer.macs + layer.pool_operations) for layer in layers] == [
        ((28, 28, 6), 156, 117_600),
        ((14, 14, 6), 0, 4_704),
        ((10, 10, 16), 2_416, 240_000),
        ((5, 5, 16), 0, 1_600),
        ((400,), 0, 0),
        ((120,), 48_120, 48_000),
        ((84,), 10_164, 10_080),
        ((10,), 850, 840),
    ]


def test_lenet_5_in_all() -> None:
    whole = analysis.total(analysis.stack((32, 32, 1), LENET))
    assert (whole.parameters, whole.macs, whole.pool_operations) == (61_706, 416_520, 6_304)
    assert whole.flops == 2 * 416_520 + 6_304


def test_norms_have_two_numbers_for_each_channel_and_global_pools_read_every_entry() -> None:
    norm, pool = analysis.norm_layer((5, 4, 3)), analysis.global_pool_layer((5, 4, 3), name="mean")
    assert norm == analysis.Layer(name="norm", output=(5, 4, 3), parameters=6)
    assert [analysis.norm_layer((7,), scale=s, bias=b).parameters for s, b in ((True, False), (False, False))] == [7, 0]
    assert pool == analysis.Layer(name="mean", output=(3,), pool_operations=60)
    assert (norm.flops, pool.flops) == (0, 60)


def test_the_table_of_lenet_5() -> None:
    assert analysis.format_table(analysis.stack((32, 32, 1), LENET)) == TABLE


@pytest.mark.parametrize("size", [7, 8, 32])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_convolutions_equal_torch(size: int, kernel: int, stride: int, padding: int) -> None:
    layer = analysis.conv_layer((size, size + 1, 3), features=4, kernel=kernel, stride=stride, padding=padding)
    module = torch.nn.Conv2d(3, 4, kernel, stride, padding)
    channels, height, width = module(torch.zeros(1, 3, size, size + 1)).shape[1:]
    assert layer.output == (height, width, channels)
    assert layer.parameters == sum(p.numel() for p in module.parameters())


def test_pools_equal_torch() -> None:
    layer = analysis.pool_layer((55, 55, 96), window=3, stride=2)
    assert layer.output == (27, 27, 96)
    assert layer.output[:2] == torch.nn.MaxPool2d(3, 2)(torch.zeros(1, 1, 55, 55)).shape[2:]
    assert layer.pool_operations == 629_856


def test_flops_of_a_product_equal_those_that_xla_counts() -> None:
    compiled = jax.jit(jnp.dot).lower(jnp.ones((1, 40)), jnp.ones((40, 30))).compile()
    assert analysis.dense_layer((40,), features=30).flops == compiled.cost_analysis()["flops"]


def test_a_window_as_long_as_the_axis_has_one_position() -> None:
    assert analysis.conv_output_size(5, kernel=5) == 1


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (4, {"kernel": 5}, "kernel must fit into size \\+ 2 padding, got kernel=5, size=4, padding=0"),
        (4, {"kernel": 0}, "must be positive .* got size=4, kernel=0, stride=1, padding=0"),
        (4, {"kernel": 1, "stride": 0}, "got size=4, kernel=1, stride=0, padding=0"),
        (4, {"kernel": 1, "padding": -1}, "got size=4, kernel=1, stride=1, padding=-1"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(size: int, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analysis.conv_output_size(size, **options)


def test_a_dense_layer_on_a_volume_acts_at_every_position() -> None:
    layer = analysis.dense_layer((5, 5, 16), features=10, bias=False)
    assert (layer.output, layer.parameters, layer.macs) == ((5, 5, 10), 160, 25 * 160)


def test_no_layers_have_no_total() -> None:
    with pytest.raises(ValueError, match="layers must not be empty"):
        analysis.total([])
