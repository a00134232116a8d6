"""Regression losses against PyTorch in float64, on errors of every size."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from fjdl.losses import regression
from tests.support import float64

pytestmark = pytest.mark.fuzz

# XLA takes subnormal numbers for 0 and PyTorch does not, so none is drawn.
HOSTILE = [0.0, -0.0, 1.0, -1.0, 0.7, -0.7, 1.3, 89.0, 1e4, -1e4, 1e-8, -1e-8, 1e-30, 1e30, -1e30, 1e18, -1e18]
NUMBERS = st.one_of(
    st.sampled_from([float(np.float32(x)) for x in HOSTILE]), st.floats(-100, 100, width=32, allow_subnormal=False)
)
COUNTS = st.one_of(st.sampled_from([0.0, 1.0, 2.0, 0.5, 1e4]), st.integers(0, 30).map(float))
BATCH = (3, 2)


def pinball(p, t, q):
    return q * torch.relu(t - p) + (1 - q) * torch.relu(p - t)


def log_cosh(p, t):
    size = (p - t).abs()
    return size + torch.log1p(torch.exp(-2 * size)) - math.log(2)


PAIRS = {
    "mse": (regression.mse_loss, lambda p, t: F.mse_loss(p, t, reduction="none")),
    "mae": (regression.mae_loss, lambda p, t: F.l1_loss(p, t, reduction="none")),
    "huber": (
        lambda p, t: regression.huber_loss(p, t, delta=0.7),
        lambda p, t: F.huber_loss(p, t, delta=0.7, reduction="none"),
    ),
    "smooth_l1": (
        lambda p, t: regression.smooth_l1_loss(p, t, beta=1.3),
        lambda p, t: F.smooth_l1_loss(p, t, beta=1.3, reduction="none"),
    ),
    "log_cosh": (regression.log_cosh_loss, log_cosh),
    "quantile": (lambda p, t: regression.quantile_loss(p, t, quantiles=0.3), lambda p, t: pinball(p, t, 0.3)),
}
POISSON = {
    f"poisson full={full}": (
        lambda x, t, full=full: regression.poisson_nll_loss(x, t, full=full),
        lambda x, t, full=full: F.poisson_nll_loss(x, t, full=full, reduction="none"),
    )
    for full in (False, True)
}


def jitted(pairs):
    """Values and gradients with respect to the predictions of all losses, in one compilation for each dtype."""

    def all_of(p, t):
        both = {name: jax.vjp(lambda p, loss=loss: loss(p, t), p) for name, (loss, _) in pairs.items()}
        return {name: (values, vjp(jnp.ones_like(values))[0]) for name, (values, vjp) in both.items()}

    return jax.jit(all_of)


OURS, OUR_POISSON = jitted(PAIRS), jitted(POISSON)


def of_torch(loss, p, t):
    prediction = torch.tensor(p, dtype=torch.float64, requires_grad=True)
    values = loss(prediction, torch.tensor(t, dtype=torch.float64)).mean(-1)
    values.sum().backward()
    return values.detach().numpy(), prediction.grad.numpy()


def compare(ours, pairs, p, t, scale):
    """Both dtypes against PyTorch's float64; beyond the largest float32 the value is infinite."""
    with float64():
        exact = ours(p, t)
    single = ours(p.astype(np.float32), t.astype(np.float32))
    for name, (_, loss) in pairs.items():
        for actual, rounded, expected in zip(exact[name], single[name], of_torch(loss, p, t), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-13 * scale, err_msg=name)
            with np.errstate(over="ignore"):
                limited = expected.astype(np.float32)
            np.testing.assert_allclose(rounded, limited, rtol=2e-6, atol=1e-6 * scale, err_msg=name)
            assert rounded.dtype == np.float32


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(arrays(np.float64, BATCH, elements=NUMBERS), arrays(np.float64, BATCH, elements=NUMBERS))
def test_losses_of_errors_equal_torch_in_value_and_gradient(predictions, targets):
    compare(OURS, PAIRS, predictions, targets, 1e-3)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    arrays(np.float64, BATCH, elements=st.one_of(st.sampled_from([0.0, -1e4, -80.0]), st.floats(-20, 20, width=32))),
    arrays(np.float64, BATCH, elements=COUNTS),
)
def test_poisson_losses_equal_torch_in_value_and_gradient(log_rates, counts):
    scale = 1 + np.max(np.exp(log_rates)) + np.max(counts * (1 + np.abs(log_rates) + np.log1p(counts)))
    compare(OUR_POISSON, POISSON, log_rates, counts, float(scale))
