from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import tree
from fjdl.analysis import total
from fjdl.functional.activations import tanh
from fjdl.models.lenet import DIGIT_CODES, LeNet5, LeNet5_1998, RadialBasis, TableConv, scaled_tanh
from fjdl.nn import MaxPool, pure
from tests.train.toy import random_params

KEY = jax.random.key(0)
VARIANTS = [((28, 28, 1), (2, 0), 61_706), ((32, 32, 3), (0, 0), 62_006), ((8, 8, 1), (2, 2), 21_386)]


def with_torch(params: Any, x: np.ndarray, *, padding: tuple[int, int], activation: Any, pool: Any) -> torch.Tensor:
    y = torch.tensor(x).permute(0, 3, 1, 2)
    weights = jax.tree.map(lambda p: torch.tensor(np.array(p)), params)
    for name, pad in zip(("conv1", "conv2"), padding, strict=True):
        kernel, bias = weights[name]["kernel"].permute(3, 2, 0, 1), weights[name]["bias"]
        y = pool(activation(torch.nn.functional.conv2d(y, kernel, bias, padding=pad)), 2)
    y = y.permute(0, 2, 3, 1).flatten(1)
    for name in ("dense1", "dense2"):
        y = activation(torch.nn.functional.linear(y, weights[name]["kernel"].T, weights[name]["bias"]))
    return torch.nn.functional.linear(y, weights["logits"]["kernel"].T, weights["logits"]["bias"])


@pytest.mark.parametrize(("shape", "padding", "count"), VARIANTS)
def test_every_layer_has_the_parameters_of_its_row_in_the_table(
    shape: tuple[int, int, int], padding: tuple[int, int], count: int
) -> None:
    model, images = pure(LeNet5(padding=padding)), jnp.zeros((1, *shape))
    params, stats = jax.eval_shape(model.init, KEY, images)
    layers = model.layers(images)
    assert {layer.name: layer.parameters for layer in layers if layer.parameters} == {
        name: tree.count(part) for name, part in params.items()
    }
    assert tree.count(params) == count
    assert stats == {}
    assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}


def test_the_table_has_the_textbooks_shapes() -> None:
    assert [(layer.name, layer.output) for layer in pure(LeNet5()).layers(jnp.zeros((1, 28, 28, 1)))] == [
        ("conv1", (28, 28, 6)),
        ("pool1", (14, 14, 6)),
        ("conv2", (10, 10, 16)),
        ("pool2", (5, 5, 16)),
        ("flatten", (400,)),
        ("dense1", (120,)),
        ("dense2", (84,)),
        ("logits", (10,)),
    ]


@pytest.mark.parametrize(("shape", "padding"), [((28, 28, 1), (2, 0)), ((8, 8, 3), (2, 2))])
def test_it_equals_torch_with_the_same_weights(
    rng: np.random.Generator, shape: tuple[int, int, int], padding: tuple[int, int]
) -> None:
    x = rng.standard_normal((4, *shape)).astype(np.float32)
    model = pure(LeNet5(padding=padding))
    params = random_params(model, x)
    logits, _ = jax.jit(model.apply)(params, {}, x)
    expected = with_torch(params, x, padding=padding, activation=torch.relu, pool=torch.nn.functional.avg_pool2d)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)


def test_activation_and_pool_can_be_chosen(rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 8, 8, 1)).astype(np.float32)
    model = pure(LeNet5(padding=(2, 2), activation=tanh, pool=MaxPool, classes=3))
    params = random_params(model, x)
    expected = with_torch(params, x, padding=(2, 2), activation=torch.tanh, pool=torch.nn.functional.max_pool2d)
    np.testing.assert_allclose(jax.jit(model.apply)(params, {}, x)[0], expected, rtol=1e-4, atol=1e-5)
    assert model.layers(x)[-1].output == expected.shape[1:] == (3,)


def test_dropout_acts_in_training_only() -> None:
    x = jax.random.normal(KEY, (4, 8, 8, 1))
    model, plain = (pure(LeNet5(padding=(2, 2), dropout=rate)) for rate in (0.5, 0.0))
    params = random_params(model, x)
    still, _ = model.apply(params, {}, x)
    np.testing.assert_array_equal(still, plain.apply(params, {}, x)[0])
    first, again, other = (model.apply(params, {}, x, train=True, key=jax.random.key(seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert jnp.any(first != still)
    assert jnp.any(first != other)


def test_in_bfloat16_the_logits_stay_near() -> None:
    x = jax.random.normal(KEY, (16, 8, 8, 1))
    model = pure(LeNet5(padding=(2, 2)))
    params = random_params(model, x)
    half, _ = jax.jit(model.apply)(params, {}, x.astype(jnp.bfloat16))
    full, _ = jax.jit(model.apply)(params, {}, x)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), full, atol=0.03 * float(jnp.abs(full).max()))


def test_an_image_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        jax.eval_shape(pure(LeNet5()).init, KEY, jnp.zeros((1, 8, 8, 1)))
    with pytest.raises(ValueError, match="window"):
        pure(LeNet5()).layers(jnp.zeros((1, 8, 8, 1)))


C3 = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""


def published_with_torch(weights: dict[str, dict[str, np.ndarray]], x: np.ndarray) -> torch.Tensor:
    """The units of F6, with C3 as a full convolution whose kernel has zeros."""
    connected = np.array([line.split() for line in C3.strip().split("\n")]) == "X"
    full = np.zeros((16, 6, 5, 5), np.float32)
    targets, sources = np.nonzero(connected.T)
    full[targets, sources] = np.moveaxis(weights["c3"]["kernel"], -1, 0)
    t = {name: {leaf: torch.tensor(np.array(w)) for leaf, w in part.items()} for name, part in weights.items()}

    def squash(a: torch.Tensor) -> torch.Tensor:
        return 1.7159 * torch.tanh(2 * a / 3)

    def subsample(y: torch.Tensor, part: dict[str, torch.Tensor]) -> torch.Tensor:
        sums = torch.nn.functional.avg_pool2d(y, 2, divisor_override=1)
        return squash(part["coefficient"][:, None, None] * sums + part["bias"][:, None, None])

    def convolve(y: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return squash(torch.nn.functional.conv2d(y, kernel, bias))

    y = torch.tensor(x).permute(0, 3, 1, 2)
    y = subsample(convolve(y, t["c1"]["kernel"].permute(3, 2, 0, 1), t["c1"]["bias"]), t["s2"])
    y = subsample(convolve(y, torch.tensor(full), t["c3"]["bias"]), t["s4"])
    y = convolve(y, t["c5"]["kernel"].permute(3, 2, 0, 1), t["c5"]["bias"]).flatten(1)
    return squash(torch.nn.functional.linear(y, t["f6"]["kernel"].T, t["f6"]["bias"]))


def test_the_published_network_equals_torch(rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 32, 32, 1)).astype(np.float32)
    model = pure(LeNet5_1998())
    params = random_params(model, x)
    units = published_with_torch(params, x)
    expected = -(torch.cdist(units.double(), torch.tensor(DIGIT_CODES, dtype=torch.float64)) ** 2)
    np.testing.assert_allclose(jax.jit(model.apply)(params, {}, x)[0], expected, rtol=1e-4)


def test_the_published_network_has_60_000_trained_parameters() -> None:
    x = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
    model, dense = pure(LeNet5_1998()), pure(LeNet5_1998(codes=None, classes=12))
    params, stats = jax.eval_shape(model.init, KEY, x)
    assert stats == {}
    assert tree.count(params) == total(model.layers(x)).parameters == 60_000
    assert tree.count(jax.eval_shape(dense.init, KEY, x)[0]) == 60_000 + 12 * 85
    assert [(layer.name, layer.output, layer.parameters) for layer in model.layers(x)] == [
        ("c1", (28, 28, 6), 156),
        ("s2", (14, 14, 6), 12),
        ("c3", (10, 10, 16), 1_516),
        ("s4", (5, 5, 16), 32),
        ("c5", (1, 1, 120), 48_120),
        ("flatten", (120,), 0),
        ("f6", (84,), 10_164),
        ("logits", (10,), 0),
    ]


def test_the_published_network_starts_within_2_4_over_the_fan_in_of_each_unit() -> None:
    params, _ = jax.jit(pure(LeNet5_1998()).init)(KEY, jnp.zeros((1, 32, 32, 1)))
    fans = np.repeat([3] * 6 + [4] * 9 + [6], [3] * 6 + [4] * 9 + [6]) * 25
    for kernel, fan in (
        (params["c1"]["kernel"], 25),
        (params["s2"]["coefficient"], 4),
        (params["c3"]["kernel"], fans),
        (params["c5"]["kernel"], 400),
        (params["f6"]["kernel"], 120),
    ):
        assert 0.5 < np.max(np.abs(kernel) * fan / 2.4) <= 1
    assert all(not np.any(part["bias"]) for part in params.values())


def test_codes_are_pictures_of_digits_far_from_each_other() -> None:
    codes = np.array(DIGIT_CODES)
    assert codes.shape == (10, 84)
    assert set(codes.ravel()) == {-1, 1}
    distances = ((codes[:, None] - codes[None]) ** 2).sum(-1) / 4
    assert distances[~np.eye(10, dtype=bool)].min() >= 8


def test_the_nearest_code_wins_and_its_distance_is_the_logit() -> None:
    x = jnp.array([[1.0, 2.0], [-3.0, 1.0]], jnp.bfloat16)
    logits: Any = RadialBasis(((1, 1), (-1, 1))).apply({}, x)
    assert logits.dtype == jnp.bfloat16
    np.testing.assert_array_equal(logits.astype(jnp.float32), [[-1, -5], [-16, -4]])


def test_scaled_tanh_maps_1_to_1() -> None:
    np.testing.assert_allclose(scaled_tanh(jnp.array([-1.0, 0.0, 1.0])), [-1, 0, 1], atol=1e-4)


def test_a_table_beyond_the_channels_and_codes_beyond_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="table must name channels of the input, got 3 of 3 channels"):
        jax.eval_shape(TableConv(((0, 3),), window=2).init, KEY, jnp.zeros((1, 4, 4, 3)))
    with pytest.raises(ValueError, match="codes must be as many as classes, got 10 codes and 3 classes"):
        jax.eval_shape(pure(LeNet5_1998(classes=3)).init, KEY, jnp.zeros((1, 32, 32, 1)))
