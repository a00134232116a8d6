import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from fjdl.losses import ctc
from tests.losses import oracles
from tests.support import float64

pytestmark = pytest.mark.fuzz

N, T, K, S = 4, 8, 4, 4


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """PyTorch's threads wait for each other longer than so small a problem takes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@jax.jit
def value_and_gradient(logits, lengths, labels, label_lengths):
    def total(logits):
        values = ctc.ctc_loss(logits, lengths, labels, label_lengths)
        return jnp.sum(values), values

    gradient, values = jax.grad(total, has_aux=True)(logits)
    return values, gradient


def problem(seed, scale, ties):
    rng = np.random.default_rng(seed)
    logits = rng.choice([0.0, -0.0, 1.0, -1.0], (N, T, K)) if ties else rng.standard_normal((N, T, K))
    labels = rng.integers(1, rng.integers(2, K + 1), (N, S))
    return scale * logits, rng.integers(1, T + 1, N), labels, rng.integers(0, S + 1, N)


def steps_needed(labels, length):
    return length + sum(labels[j] == labels[j + 1] for j in range(length - 1))


@settings(max_examples=1200, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.sampled_from([1e-3, 1.0, 30.0, 1e4]), st.booleans())
def test_values_and_gradients_equal_torch(seed, scale, ties):
    logits, lengths, labels, label_lengths = problem(seed, scale, ties)
    tensor = torch.tensor(logits, requires_grad=True)
    expected = oracles.ctc(tensor, *map(torch.tensor, (lengths, labels, label_lengths)))
    with float64():
        values, gradient = map(np.asarray, value_and_gradient(logits, lengths, labels, label_lengths))
    possible = np.array([steps_needed(labels[i], label_lengths[i]) <= lengths[i] for i in range(N)])
    np.testing.assert_array_equal(np.isfinite(values), possible)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-9, atol=1e-9)
    assert not gradient[~possible].any()  # NaN in torch
    if possible.any():
        expected[torch.tensor(possible)].sum().backward()
        np.testing.assert_allclose(gradient[possible], tensor.grad.numpy()[possible], rtol=1e-6, atol=1e-8)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.sampled_from([1e-3, 1.0, 30.0, 1e4]), st.booleans())
def test_float32_is_near_float64_with_finite_gradients(seed, scale, ties):
    logits, *rest = problem(seed, scale, ties)
    logits = np.float32(logits)
    expected = oracles.ctc(torch.tensor(logits).double(), *map(torch.tensor, rest))
    values, gradient = value_and_gradient(logits, *rest)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    assert np.isfinite(gradient).all()


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.floats(0.1, 0.6))
def test_impossible_symbols_cost_what_torch_says_without_nan(seed, share):
    logits, *rest = problem(seed, 1.0, False)
    logits[np.random.default_rng(seed).random(logits.shape) < share] = -np.inf
    logits[..., 0][np.isneginf(logits).all(-1)] = 0  # a step has some symbol
    expected = oracles.ctc(torch.tensor(logits), *map(torch.tensor, rest))
    with float64():
        values, gradient = value_and_gradient(logits, *rest)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)
    assert np.isfinite(gradient).all()
