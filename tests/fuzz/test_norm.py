"""Normalization against PyTorch in float64 on the same numbers, with hostile means and scales."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from fjdl.functional.batch_norm import batch_norm
from fjdl.functional.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from fjdl.functional.local_response import local_response_norm

pytestmark = pytest.mark.fuzz

F = torch.nn.functional
SHAPE = (3, 4, 6)
COTANGENT = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)

# Entries on a coarse grid make ties and constant channels; the means dwarf them; the scales end where squares overflow.
entries = arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 1e-3, -7.0]))
smooth = arrays(np.float32, SHAPE, elements=st.floats(-4, 4, width=32))
means = st.sampled_from([0.0, 0.0, 1.0, -100.0, 4096.0, 1e4, 1e6, -1e8])
scales = st.sampled_from([1.0, 1.0, 1e-20, 1e-6, 1e-3, 1e3, 1e8, 1e15])
parameters = arrays(np.float32, (2, 6), elements=st.sampled_from([0.0, 1.0, -2.0, 0.3, 100.0]))


def spread(x, mean, scale):
    """`scale · (x + mean)`, without the mean where squares or float64 would not hold it."""
    return ((x + np.float32(mean if abs(mean * scale) <= 1e12 else 0)) * np.float32(scale)).astype(np.float32)


batches = st.builds(spread, entries | smooth, means, scales)


def first(function):
    return lambda x, *rest: function(x.movedim(-1, 1), *rest).movedim(1, -1)


def compiled(function):
    @jax.jit
    def run(*operands):
        y, pull = jax.vjp(function, *operands)
        return y, *pull(jnp.asarray(COTANGENT))

    return run


# Ours, theirs, and the axes of a mean that may be taken off first, of x in three groups of two channels.
PAIRS = {
    "batch": (
        compiled(lambda x, s, b: batch_norm(x, s, b)[0]),
        first(lambda x, s, b: F.batch_norm(x, None, None, s, b, training=True)),
        (0, 1),
    ),
    "layer": (compiled(layer_norm), lambda x, s, b: F.layer_norm(x, (6,), s, b), (2, 3)),
    "group": (compiled(partial(group_norm, groups=3)), first(lambda x, s, b: F.group_norm(x, 3, s, b)), (1, 3)),
    "instance": (compiled(instance_norm), first(lambda x, s, b: F.instance_norm(x, weight=s, bias=b)), (1,)),
    "rms": (
        compiled(lambda x, s, b: rms_norm(x, s, epsilon=1e-5)),
        lambda x, s, b: F.rms_norm(x, (6,), s, eps=1e-5),
        None,
    ),
    "response": (
        compiled(lambda x, s, b: local_response_norm(x, average=True)),
        first(lambda x, s, b: F.local_response_norm(x, 5, k=2.0)),
        None,
    ),
}


def off_the_mean(x, axes):
    """Float64 without its mean, taken off twice because float64 rounds it too, and the smallest deviation."""
    x = x.astype(np.float64).reshape(3, 4, 3, 2)
    if axes is None:
        return x.reshape(SHAPE), 0.0
    for _ in range(2):
        x = x - x.mean(axes, keepdims=True)
    return x.reshape(SHAPE), x.std(axes).min()


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=400, deadline=None, derandomize=True)
@given(batches, parameters)
def test_value_and_gradients_equal_torch(name, x, params):
    ours, theirs, axes = PAIRS[name]
    centred, deviation = off_the_mean(x, axes)
    assume(deviation > 0 or axes is None or np.abs(x).max() <= 1e6)  # epsilon hides the variance of a smaller constant
    tensors = [torch.tensor(a, requires_grad=True) for a in (centred, *params.astype(np.float64))]
    y = theirs(*tensors)
    y.backward(torch.tensor(COTANGENT.astype(np.float64)))
    expected = [y.detach(), *(torch.zeros_like(t) if t.grad is None else t.grad for t in tensors)]
    term = max(1, np.abs(params[0]).max()) / np.sqrt(deviation**2 + 1e-5)  # of those that cancel in the gradient of x
    for actual, exact, size in zip(ours(x, *params), expected, (1, term, 1, 1), strict=True):
        exact = exact.numpy()
        np.testing.assert_allclose(actual, exact, rtol=1e-5, atol=4e-6 * max(size, np.abs(exact).max()))
