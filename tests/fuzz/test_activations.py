"""Activations and their gradients against PyTorch in float64 on hostile float32 numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as T
from hypothesis import given, settings, strategies as st

from fjdl.functional import activations, gates, rectifiers

pytestmark = pytest.mark.fuzz


def gelu(x):
    """Without the cancellation of PyTorch's form in the lower tail."""
    return 0.5 * x * torch.erfc(-np.sqrt(0.5) * x)


def gelu_tanh(x):
    return x * torch.sigmoid(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def tanhshrink(x):
    """PyTorch's form, and at small numbers the series in its place."""
    small = torch.where(x.abs() < 1e-2, x, 0 * x)
    return torch.where(x.abs() < 1e-2, small**3 / 3 - 2 * small**5 / 15 + 17 * small**7 / 315, T.tanhshrink(x))


POINTWISE = {
    activations.identity: lambda x: 1 * x,
    activations.relu: torch.relu,
    activations.tanh: torch.tanh,
    activations.sigmoid: torch.sigmoid,
    activations.log_sigmoid: T.logsigmoid,
    activations.softplus: T.softplus,
    activations.softsign: T.softsign,
    activations.tanhshrink: tanhshrink,
    activations.erf: torch.erf,
    rectifiers.leaky_relu: T.leaky_relu,
    rectifiers.elu: T.elu,
    rectifiers.selu: T.selu,
    rectifiers.celu: T.celu,
    rectifiers.relu6: T.relu6,
    rectifiers.hard_tanh: T.hardtanh,
    rectifiers.hard_sigmoid: T.hardsigmoid,
    rectifiers.hard_swish: T.hardswish,
    rectifiers.softshrink: T.softshrink,
    rectifiers.hardshrink: T.hardshrink,
    gates.gelu: gelu,
    gates.gelu_tanh: gelu_tanh,
    gates.silu: T.silu,
    gates.mish: T.mish,
}
ROWWISE = {
    activations.softmax: lambda x: x.softmax(-1),
    activations.log_softmax: lambda x: x.log_softmax(-1),
    gates.glu: T.glu,
}
LEARNED = {
    rectifiers.prelu: T.prelu,
    gates.swish: lambda x, beta: x * torch.sigmoid(beta * x),
}
WEIGHTS = np.linspace(-1, 2, 8, dtype=np.float32)


def pull(function):
    """Value and gradients of the value's weighted sum."""

    @jax.jit
    def both(*arrays):
        value, pullback = jax.vjp(function, *arrays)
        return value, pullback(jnp.broadcast_to(WEIGHTS[: value.shape[-1]], value.shape))

    return both


JITTED = {function: pull(function) for function in [*POINTWISE, *ROWWISE, *LEARNED]}
KINKS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, -6.0]

tame = st.floats(-20, 20, width=32, allow_subnormal=False)
large = st.floats(-1e4, 1e4, width=32, allow_subnormal=False)
any_finite = st.floats(allow_nan=False, allow_infinity=False, width=32, allow_subnormal=False)
kinks = st.sampled_from(KINKS)
NEIGHBOURS = [float(np.nextafter(np.float32(x), np.float32(end))) for x in KINKS if x for end in (9, -9)]
near_kinks = st.sampled_from([*NEIGHBOURS, 2.0**-126, -(2.0**-126)])  # XLA takes smaller numbers on a CPU for 0
numbers = st.one_of(tame, large, any_finite, kinks, near_kinks)
bounded = st.one_of(tame, large, kinks)


def row(elements):
    return st.lists(elements, min_size=8, max_size=8).map(lambda x: np.array(x, np.float32))


def compare(ours, theirs, *arrays, rtol, atol):
    value, gradients = JITTED[ours](*arrays)
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in arrays]
    expected = theirs(*tensors)
    weights = torch.tensor(WEIGHTS[: expected.shape[-1]], dtype=torch.float64)
    (weights * expected).sum().backward()
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(value, expected.detach().numpy().astype(np.float32), rtol=rtol, atol=atol)
        for a, b in zip(gradients, tensors, strict=True):
            np.testing.assert_allclose(a, b.grad.numpy().astype(np.float32), rtol=rtol, atol=atol)


@settings(max_examples=4000, deadline=None, derandomize=True)
@given(st.sampled_from(list(POINTWISE)), row(numbers))
def test_functions_of_single_numbers_equal_torch(function, x):
    compare(function, POINTWISE[function], x, rtol=5e-6, atol=1e-6)


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.sampled_from(list(POINTWISE)), row(st.one_of(st.just(np.inf), st.just(-np.inf), st.just(np.nan), numbers)))
def test_nan_comes_out_exactly_where_it_goes_in(function, x):
    value, (gradient,) = JITTED[function](x)
    np.testing.assert_array_equal(np.isnan(value), np.isnan(x))
    assert np.isfinite(gradient[~np.isnan(x)]).all()


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.sampled_from(list(ROWWISE)), row(bounded))
def test_functions_of_rows_equal_torch(function, x):
    compare(function, ROWWISE[function], x, rtol=1e-5, atol=2e-3 if function is gates.glu else 4e-6)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.sampled_from(list(LEARNED)), row(bounded), st.one_of(tame, kinks), st.booleans())
def test_learned_parameters_have_the_gradients_of_torch(function, x, parameter, shared):
    parameters = np.float32(parameter) if shared else np.float32(parameter) * WEIGHTS
    if function is rectifiers.prelu:  # torch wants a vector, and channels on the second axis
        compare(function, lambda x, a: T.prelu(x[None], a.reshape(-1))[0], x, parameters, rtol=1e-5, atol=1e-2)
    else:
        scale = float(np.max(np.abs(x))) ** 2 + 1
        compare(function, LEARNED[function], x, parameters, rtol=1e-5, atol=1e-5 * scale)


_maps = st.lists(st.integers(-2, 2), min_size=12, max_size=12)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(-3, 3), min_size=8, max_size=8), _maps, st.lists(st.integers(-1, 1), min_size=6, max_size=6)
)
def test_maxout_with_many_ties_equals_torch(x, kernel, bias):
    x, kernel = np.array(x, np.float32).reshape(4, 2), np.array(kernel, np.float32).reshape(2, 2, 3)
    bias = np.array(bias, np.float32).reshape(2, 3)
    ours = JITTED.setdefault(rectifiers.maxout, pull(rectifiers.maxout))
    value, gradients = ours(x, kernel, bias)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, kernel, bias)]
    expected = (torch.einsum("ni,iok->nok", tensors[0], tensors[1]) + tensors[2]).max(dim=-1).values
    (torch.tensor(WEIGHTS[:2]) * expected).sum().backward()
    np.testing.assert_array_equal(value, expected.detach())
    for a, b in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(a, b.grad, rtol=1e-5, atol=1e-5)
