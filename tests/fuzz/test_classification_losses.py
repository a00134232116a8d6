"""Losses of classes against PyTorch in float64, on logits and probabilities of every size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from fjdl.losses import classification, divergence, focal, margin, probabilities
from tests.support import float64

pytestmark = pytest.mark.fuzz

# A logit that vanishes beside the margin of 1 would decide on which side of the kink float32 lies.
LOGITS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 20.0, -20.0, 90.0, -90.0, 1e4, -1e4]),
    st.floats(-30, 30, width=32, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-3),
)
# None is exactly the clip, where the slope depends on how the clip rounds.
PROBABILITIES = st.one_of(
    st.sampled_from([float(np.float32(p)) for p in (0, 1, 0.5, 1e-13, 1e-11, 1e-30, 1 - 2**-24)]),
    st.floats(0, 1, width=32, allow_subnormal=False).filter(lambda p: p != np.float32(1e-12)),
)
BATCH, CLASSES, IGNORED = 3, 4, 255
WEIGHTS = np.float32([0.25, 1.0, 0.0, 3.0])
WEIGHT_TENSOR = torch.tensor(WEIGHTS, dtype=torch.float64)
LABELS = arrays(np.int64, BATCH, elements=st.integers(0, CLASSES - 1))
MATRIX = (BATCH, CLASSES)


def torch_softmax_focal(x, y, gamma):
    log_p = F.log_softmax(x, -1)
    own = torch.nn.functional.one_hot(y, CLASSES).bool()
    log_miss = torch.logsumexp(log_p.masked_fill(own, -torch.inf), -1)
    return -torch.exp(gamma * log_miss) * log_p[own]


def torch_sigmoid_focal(x, t, gamma):
    z = torch.where(t == 1, x, -x)
    return -(0.3 * t + 0.7 * (1 - t)) * torch.exp(gamma * F.logsigmoid(-z)) * F.logsigmoid(z)


def crammer_singer(x, y):
    own = torch.nn.functional.one_hot(y, CLASSES).bool()
    return torch.relu(1 - x[own] + x.masked_fill(own, -torch.inf).amax(-1))


def clipped(p):
    return torch.clamp(p, min=1e-12)


ON_LABELS = {
    "softmax": (classification.softmax_cross_entropy, lambda x, y: F.cross_entropy(x, y, reduction="none")),
    "smoothed": (
        lambda x, y: classification.softmax_cross_entropy(x, y, smoothing=0.3),
        lambda x, y: F.cross_entropy(x, y, label_smoothing=0.3, reduction="none"),
    ),
    "weighted": (
        lambda x, y: classification.softmax_cross_entropy(
            x, y, smoothing=0.1, class_weights=jnp.asarray(WEIGHTS, x.dtype), ignore_label=1
        ),
        lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1, weight=WEIGHT_TENSOR, ignore_index=1, reduction="none"),
    ),
    "focal 0.5": (
        lambda x, y: focal.softmax_focal_loss(x, y, gamma=0.5),
        lambda x, y: torch_softmax_focal(x, y, 0.5),
    ),
    "focal 2": (lambda x, y: focal.softmax_focal_loss(x, y), lambda x, y: torch_softmax_focal(x, y, 2.0)),
    "multi_margin 1": (margin.multi_margin_loss, lambda x, y: F.multi_margin_loss(x, y, reduction="none")),
    "multi_margin 2": (
        lambda x, y: margin.multi_margin_loss(x, y, p=2, margin=0.5),
        lambda x, y: F.multi_margin_loss(x, y, p=2, margin=0.5, reduction="none"),
    ),
    "crammer_singer": (margin.crammer_singer_loss, crammer_singer),
}
ON_TARGETS = {
    "soft": (classification.soft_cross_entropy, lambda x, t: F.cross_entropy(x, t, reduction="none")),
    "sigmoid": (
        lambda x, t: classification.sigmoid_cross_entropy(x, t, pos_weight=jnp.asarray(WEIGHTS, x.dtype)),
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=WEIGHT_TENSOR, reduction="none"),
    ),
    "kl": (
        divergence.kl_divergence_with_logits,
        lambda x, t: F.kl_div(torch.log_softmax(x, -1), t, reduction="none").sum(-1),
    ),
}
ON_BITS = {
    f"sigmoid_focal {gamma}": (
        lambda x, t, gamma=gamma: focal.sigmoid_focal_loss(x, t, gamma=gamma, alpha=0.3),
        lambda x, t, gamma=gamma: torch_sigmoid_focal(x, t, gamma),
    )
    for gamma in (0.0, 0.5, 2.0)
} | {
    "hinge": (margin.hinge_loss, lambda x, t: torch.relu(1 - (2 * t - 1) * x)),
    "squared_hinge": (margin.squared_hinge_loss, lambda x, t: torch.relu(1 - (2 * t - 1) * x) ** 2),
}
ON_PROBABILITIES = {
    "binary": (
        probabilities.binary_cross_entropy,
        lambda p, t: -(t * torch.log(clipped(p)) + (1 - t) * torch.log(clipped(1 - p))),
    ),
    "categorical": (probabilities.categorical_cross_entropy, lambda p, t: -(t * torch.log(clipped(p))).sum(-1)),
}


def jitted(pairs):
    """Values and gradients with respect to the first argument of all losses, in one compilation for each dtype."""

    def all_of(x, y):
        both = {name: jax.vjp(lambda x, loss=loss: loss(x, y), x) for name, (loss, _) in pairs.items()}
        return {name: (values, vjp(jnp.ones_like(values))[0]) for name, (values, vjp) in both.items()}

    return jax.jit(all_of)


OURS = {id(pairs): jitted(pairs) for pairs in (ON_LABELS, ON_TARGETS, ON_BITS, ON_PROBABILITIES)}


def of_torch(loss, x, y):
    inputs, other = torch.tensor(x, dtype=torch.float64, requires_grad=True), torch.tensor(y)
    values = loss(inputs, other)
    values.sum().backward()
    return values.detach().numpy(), inputs.grad.numpy()


def compare(pairs, x, y, atol=1e-6):
    """Both dtypes against PyTorch's float64."""
    ours = OURS[id(pairs)]
    with float64():
        exact = ours(x, y)
    single = ours(x.astype(np.float32), y if y.dtype.kind == "i" else y.astype(np.float32))
    for name, (_, loss) in pairs.items():
        for actual, rounded, expected in zip(exact[name], single[name], of_torch(loss, x, y), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-5 * atol, err_msg=name)
            np.testing.assert_allclose(rounded, expected, rtol=4e-6, atol=atol, err_msg=name)
            assert rounded.dtype == np.float32


def rows(elements):
    return arrays(np.float64, MATRIX, elements=elements)


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(rows(LOGITS), LABELS)
def test_losses_of_logits_and_labels_equal_torch(logits, labels):
    compare(ON_LABELS, logits, labels, atol=4e-6)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(rows(LOGITS), rows(PROBABILITIES))
def test_losses_of_logits_and_soft_targets_equal_torch(logits, targets):
    compare(ON_TARGETS, logits, targets, atol=4e-6)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(rows(LOGITS), rows(st.sampled_from([0.0, 1.0])))
def test_losses_of_logits_and_bits_equal_torch(logits, targets):
    compare(ON_BITS, logits, targets)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(rows(PROBABILITIES), rows(PROBABILITIES))
def test_losses_of_probabilities_equal_torch(predictions, targets):
    compare(ON_PROBABILITIES, predictions, targets, atol=2e-6)
