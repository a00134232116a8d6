from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional import local_response
from fjdl.functional.local_response import local_response_norm
from tests.support import float64


def test_krizhevsky_multiplies_the_sum_by_alpha_and_torch_the_mean():
    x = jnp.array([[1.0, 2, 3]])
    np.testing.assert_allclose(local_response_norm(x, size=3, alpha=0.5, beta=1.0, k=1.0), [[1 / 3.5, 2 / 8, 3 / 7.5]])
    averaged = local_response_norm(x, size=3, alpha=1.5, beta=1.0, k=1.0, average=True)
    np.testing.assert_allclose(averaged, [[1 / 3.5, 2 / 8, 3 / 7.5]], rtol=1e-6)


def test_the_defaults_are_those_of_alexnet():
    x = jnp.full((1, 96), 100.0)
    np.testing.assert_allclose(local_response_norm(x)[0, 50], 100 / (2 + 1e-4 * 5 * 1e4) ** 0.75, rtol=1e-6)


@pytest.mark.parametrize("tpu", [False, True], ids=["elsewhere", "tpu"])
@pytest.mark.parametrize("size", [2, 5, 9])
def test_gradients_equal_torch_for_windows_wider_than_the_channels_too(size, tpu, rng, monkeypatch):
    if tpu:
        monkeypatch.setattr(local_response, "by_platform", lambda x, *, tpu, elsewhere: tpu(x))
    x, cotangent = rng.standard_normal((2, 2, 3, 5, 4))
    tensor = torch.tensor(x, requires_grad=True)
    first = tensor.movedim(-1, 1)
    torch.nn.functional.local_response_norm(first, size, alpha=0.5, k=1.5).movedim(1, -1).backward(
        torch.tensor(cotangent)
    )
    with float64():
        ours = partial(local_response_norm, size=size, alpha=0.5, k=1.5, average=True)
        (gradient,) = jax.jit(lambda x, cotangent: jax.vjp(ours, x)[1](cotangent))(x, cotangent)
    np.testing.assert_allclose(gradient, np.asarray(tensor.grad), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"size": 0}, "^size must be at least 1, got 0$"),
        ({"alpha": -1.0}, "^alpha must be finite and not negative, got -1.0$"),
        ({"k": 0.0}, "^k must be positive and finite, got 0.0$"),
        ({"k": np.nan}, "^k must be positive and finite, got nan$"),
    ],
)
def test_options_that_could_divide_by_zero_are_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        local_response_norm(jnp.ones((1, 3)), **options)
