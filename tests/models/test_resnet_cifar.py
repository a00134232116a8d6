import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.models.residual import BasicBlock, ZeroPadShortcut
from fjdl.models.resnet import ResNet, SmallStem
from fjdl.models.resnet_cifar import (
    CIFAR_RESNET_AKAMASTER,
    cifar_resnet20,
    cifar_resnet20_v2,
    cifar_resnet32,
    cifar_resnet32_v2,
    cifar_resnet44,
    cifar_resnet44_v2,
    cifar_resnet56,
    cifar_resnet56_v2,
    cifar_resnet110,
    cifar_resnet110_v2,
    cifar_resnet164_v2,
)
from fjdl.nn import pure
from fjdl.transfer.layout import from_torch
from fjdl.transfer.legacy import load_torch_pickle
from tests.models.parity import assert_equals_twin
from tests.models.twins import resnet as twins
from tests.support import require_data

KEY = jax.random.key(0)


def test_it_equals_torch_with_zero_padded_shortcuts(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 10, 9, 3)).astype(np.float32)
    block = partial(BasicBlock, shortcut=ZeroPadShortcut)
    network = ResNet(stages=(1, 2), block=block, width=4, stem=partial(SmallStem, features=4), classes=10)
    twin = twins.ResNet(twins.Basic, (1, 2), 4, option=True)
    assert_equals_twin(pure(network), twin, x, CIFAR_RESNET_AKAMASTER)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (cifar_resnet20, 269_722),
        pytest.param(cifar_resnet20_v2, 269_722, marks=pytest.mark.slow),
        pytest.param(cifar_resnet32, 464_154, marks=pytest.mark.slow),
        pytest.param(cifar_resnet32_v2, 464_154, marks=pytest.mark.slow),
        pytest.param(cifar_resnet44, 658_586, marks=pytest.mark.slow),
        pytest.param(cifar_resnet44_v2, 658_586, marks=pytest.mark.slow),
        pytest.param(cifar_resnet56, 853_018, marks=pytest.mark.slow),
        pytest.param(cifar_resnet56_v2, 853_018, marks=pytest.mark.slow),
        pytest.param(cifar_resnet110, 1_727_962, marks=pytest.mark.slow),
        pytest.param(cifar_resnet110_v2, 1_727_962, marks=pytest.mark.slow),
        pytest.param(cifar_resnet164_v2, 1_703_258, marks=pytest.mark.slow),
    ],
)
def test_parameters_and_their_table(network: Any, count: int) -> None:
    model = pure(network())
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params, _ = jax.eval_shape(model.init, KEY, x)
    assert sum(row.parameters for row in model.layers(x)) == tree.count(params) == count


def test_grey_images_of_28_pixels_are_fine() -> None:
    model = pure(cifar_resnet20(), outputs=("stage1", "stage2", "stage3", "logits"))
    x = jnp.zeros((2, 28, 28, 1))
    params, stats = jax.eval_shape(model.init, KEY, x)
    features, _ = jax.eval_shape(model.apply, params, stats, x)
    assert [features[name].shape for name in ("stage1", "stage2", "stage3", "logits")] == [
        (2, 28, 28, 16),
        (2, 14, 14, 32),
        (2, 7, 7, 64),
        (2, 10),
    ]
    assert tree.count(params) == 269_722 - 2 * 9 * 16


@pytest.mark.slow
def test_pretrained_weights_have_the_published_accuracy() -> None:
    weights = require_data("pretrained-resnet20-cifar10") / "resnet20-12fca82f.th"
    images, labels = cifar10_test(require_data("cifar10").parent)
    tensors = load_torch_pickle(weights, strip="module.")["state_dict"]
    model = pure(cifar_resnet20())
    abstract = jax.eval_shape(model.init, KEY, images[:1])
    params, stats = from_torch(tensors, *abstract, CIFAR_RESNET_AKAMASTER)
    logits = jax.jit(lambda x: model.apply(params, stats, x)[0])
    predictions = np.concatenate([logits(images[i : i + 500]).argmax(-1) for i in range(0, 10_000, 500)])
    assert int((predictions == labels).sum()) == 9_173


def cifar10_test(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The test images, normalized as ImageNet's, and labels."""
    spec = importlib.util.spec_from_file_location("unpack_cifar10", folder / "unpack_cifar10.py")
    assert spec is not None
    assert spec.loader is not None
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    rows = unpack.unpack("test_batch")
    pixels = np.moveaxis(rows[:, 1:].reshape(-1, 3, 32, 32), 1, -1) / np.float32(255)
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return (pixels - mean) / deviation, rows[:, 0]
