from functools import partial

import pytest

from fjdl import analysis

SMALL = [analysis.dense_layer((9,), features=3, name="logits")]
LENET = analysis.stack(
    (32, 32, 1),
    [
        partial(analysis.conv_layer, features=6, kernel=5),
        partial(analysis.pool_layer, window=2),
        partial(analysis.conv_layer, features=16, kernel=5),
        partial(analysis.pool_layer, window=2),
        analysis.flatten_layer,
        partial(analysis.dense_layer, features=120),
        partial(analysis.dense_layer, features=84),
        partial(analysis.dense_layer, features=10),
    ],
)
# LeNet-5: 61,706 parameters of 4 bytes, outputs of 8,494 numbers, of which 4,704 + 1,176 at once; training keeps
# 4 · 246,824 + 4 · 8,494 bytes, and 32 times as many of the latter with a batch of 32
COMPARISON = """\
network  parameters  GMACs  GFLOPs  weight layers  inference MiB  training MiB
LeNet-5      61,706  0.000   0.001              5            0.3           1.0
a layer          30  0.000   0.000              1            0.0           0.0"""


def test_one_layer_is_its_own_total() -> None:
    assert analysis.format_table(SMALL) == (
        "layer   output  parameters  MACs  pool ops  FLOPs\n"
        "logits  3               30    27         0     54\n"
        "total   3               30    27         0     54"
    )


def test_networks_side_by_side() -> None:
    assert analysis.format_comparison({"LeNet-5": LENET, "a layer": SMALL}) == COMPARISON


def test_memory_grows_with_the_batch() -> None:
    line = analysis.format_comparison({"LeNet-5": LENET}, batch_size=32).splitlines()[1]
    inference, training = (4 * 61_706 + 32 * 4 * 5_880) / 2**20, (16 * 61_706 + 32 * 4 * 8_494) / 2**20
    assert line.split()[-2:] == [f"{inference:.1f}", f"{training:.1f}"] == ["1.0", "2.0"]


def test_no_networks_are_a_header() -> None:
    assert len(analysis.format_comparison({}).splitlines()) == 1


def test_a_network_without_layers_is_refused() -> None:
    for function, networks in ((analysis.format_comparison, {"nothing": []}), (analysis.format_table, [])):
        with pytest.raises(ValueError, match="layers must not be empty"):
            function(networks)
