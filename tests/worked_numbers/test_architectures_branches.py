from typing import Any

import jax
import jax.numpy as jnp
import pytest

from fjdl.analysis import Layer, total
from fjdl.models.googlenet import GoogLeNet, googlenet_batch_norm
from fjdl.models.inception_modules import Inception, NaiveInception
from fjdl.nn import pure


def whole(network: Any, *shape: int) -> Layer:
    return total(pure(network).layers(jax.ShapeDtypeStruct((1, *shape), jnp.float32)))


@pytest.mark.by_day_on_pin(1)
def test_e73_googlenet_has_6_998_552_parameters_and_1_58_giga_macs() -> None:
    network = whole(GoogLeNet(), 224, 224, 3)
    assert network.parameters == 6_998_552
    assert network.macs == 1_582_671_872
    column = (2.7, 112, 159, 380, 364, 437, 463, 580, 840, 1072, 1388, 1000)  # thousands, as the paper rounds them
    assert round(sum(column) / 1000, 1) == 6.8 < round(network.parameters / 1e6, 1)


def test_e73_with_batch_norm_and_3x3_branches_it_has_6_624_904_parameters() -> None:
    network = whole(googlenet_batch_norm(), 224, 224, 3)
    assert network.parameters == 6_624_904
    assert network.macs == 1_498_376_192


@pytest.mark.parametrize(
    ("module", "parameters", "macs", "channels"),
    [
        (Inception((64, 96, 128, 16, 32, 32)), 163_696, 128_049_152, 256),
        (NaiveInception(64, 128, 32), 387_296, 303_464_448, 416),
    ],
    ids=["reduced", "naive"],
)
def test_reductions_of_inception_3a_save_more_than_half(module: Any, parameters: int, macs: int, channels: int) -> None:
    cost = whole(module, 28, 28, 192)
    assert (cost.parameters, cost.macs) == (parameters, macs)
    params, _ = jax.eval_shape(pure(module).init, jax.random.key(0), jnp.zeros((1, 28, 28, 192)))
    output, _ = jax.eval_shape(pure(module).apply, params, {}, jnp.zeros((1, 28, 28, 192)))
    assert output.shape == (1, 28, 28, channels)
