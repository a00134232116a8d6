"""The error of outputs by layer, beside the one that NumPy finds."""

import jax
import numpy as np
import pytest

from fjdl import nn, quant
from fjdl.models import MLP
from fjdl.nn.quantized import sensitivities


def test_each_layer_is_rounded_alone() -> None:
    x = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    model = nn.pure(MLP(hidden=(5,), classes=3))
    params, stats = model.init(jax.random.key(0), x)
    found = sensitivities(model, params, stats, [x[:3], x[3:]], bits=(8, 3))

    def forward(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return np.maximum(x @ first, 0) @ last

    kernels = [np.asarray(params[name]["kernel"], np.float64) for name in ("hidden1", "logits")]
    exact = forward(*kernels)
    for place, name in enumerate(("hidden1", "logits")):
        for bits in (8, 3):
            step = np.abs(kernels[place]).max(axis=0) / (2 ** (bits - 1) - 1)
            rounded = [*kernels]
            rounded[place] = np.round(kernels[place] / step) * step
            expected = np.square(forward(*rounded) - exact).sum() / np.square(exact).sum()
            np.testing.assert_allclose(found[name][bits], expected, rtol=2e-2)
    sizes = {"hidden1": {8: 20, 3: 8}, "logits": {8: 15, 3: 6}}
    assert set(quant.bits_within(found, sizes, budget=26).values()) == {8, 3}


def test_batches_are_needed() -> None:
    model = nn.pure(MLP(hidden=(), classes=2))
    with pytest.raises(ValueError, match="batches must hold inputs of the model, got none"):
        sensitivities(model, *model.init(jax.random.key(0), np.ones((1, 2), np.float32)), [])
