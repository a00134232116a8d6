import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.losses import ctc, reduce
from tests.losses import oracles
from tests.support import float64

INF, NAN = np.inf, np.nan


@jax.jit
def value_and_gradient(logits, logit_lengths, labels, label_lengths):
    def total(logits):
        values = ctc.ctc_loss(logits, logit_lengths, labels, label_lengths)
        return jnp.sum(jnp.where(jnp.isfinite(values), values, 0)), values

    gradient, values = jax.grad(total, has_aux=True)(logits)
    return values, gradient


def batch(rng):
    """Six sequences: ordinary, repeats, as short as can be, no label, one step, and labels of the last class."""
    logits = rng.standard_normal((6, 7, 5))
    labels = np.array([[1, 2, 3], [2, 2, 2], [1, 2, 1], [4, 4, 4], [3, 1, 1], [4, 1, 4]])
    return logits, np.array([7, 6, 3, 5, 1, 4]), labels, np.array([3, 3, 3, 0, 1, 2])


def test_equals_torch_in_value_and_gradient(rng):
    logits, *rest = batch(rng)
    tensor = torch.tensor(logits, requires_grad=True)
    expected = oracles.ctc(tensor, *map(torch.tensor, rest))
    expected.sum().backward()
    with float64():
        values, gradient = value_and_gradient(logits, *rest)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-9, atol=1e-12)


def test_equals_the_sum_over_all_alignments(rng):
    logits, *_ = batch(rng)
    p = np.exp(logits[0]) / np.exp(logits[0]).sum(-1, keepdims=True)
    examples = [[], [1], [1, 2], [2, 2], [3, 1, 3], [4, 4, 4]]
    totals = np.zeros(6)
    for path in itertools.product(range(5), repeat=5):
        merged = [c for c, _ in itertools.groupby(path) if c != 0]
        if merged in examples:
            totals[examples.index(merged)] += np.prod(p[range(5), path])
    labels = np.array([[*example, 1, 1, 1][:3] for example in examples])
    lengths = np.array([len(example) for example in examples])
    values, _ = value_and_gradient(np.float32([logits[0]] * 6), np.full(6, 5), labels, lengths)
    np.testing.assert_allclose(values, -np.log(totals), rtol=1e-5)


def test_the_blank_may_be_any_class(rng):
    logits, *rest = batch(rng)
    values, _ = value_and_gradient(np.float32(logits), *rest)
    moved = np.concatenate([logits[..., 1:], logits[..., :1]], -1)
    lengths, labels, label_lengths = rest
    last = jax.jit(partial(ctc.ctc_loss, blank=4))
    np.testing.assert_allclose(last(np.float32(moved), lengths, labels - 1, label_lengths), values, rtol=1e-5)


def test_padding_of_logits_and_labels_reaches_neither_value_nor_gradient(rng):
    logits, lengths, labels, label_lengths = batch(rng)
    logits, labels = np.float32(logits), labels.copy()
    expected, slopes = value_and_gradient(logits, lengths, labels, label_lengths)
    padding = np.arange(7) >= lengths[:, None]
    logits[padding] = NAN
    labels[np.arange(3) >= label_lengths[:, None]] = -1
    values, gradient = value_and_gradient(logits, lengths, labels, label_lengths)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(gradient, slopes)
    assert not gradient[padding].any()


def test_a_thousand_steps_keep_their_digits_in_float32(rng):
    logits, labels = rng.standard_normal((1000, 4)), rng.integers(1, 4, 200)
    expected = oracles.ctc(*(torch.tensor(x)[None] for x in (logits, np.int64(1000), labels, np.int64(200))))
    value = jax.jit(ctc.ctc_loss)(np.float32(logits), np.array(1000), labels, np.array(200))
    assert value == pytest.approx(float(expected[0]), rel=2e-6)


def test_logits_of_ten_thousand_give_finite_values_and_gradients(rng):
    logits, *rest = batch(rng)
    values, gradient = value_and_gradient(np.float32(1e4 * logits), *rest)
    expected = oracles.ctc(torch.tensor(1e4 * logits), *map(torch.tensor, rest))
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()


def test_a_certain_alignment_costs_nothing(rng):
    logits, lengths, labels, label_lengths = batch(rng)
    logits = np.full_like(logits, -INF, np.float32)
    for step, symbol in enumerate([1, 2, 0, 3, 3, 0, 0]):
        logits[0, step, symbol] = 0
    values, gradient = value_and_gradient(logits, lengths, labels, label_lengths)
    np.testing.assert_array_equal(values, [0, *[INF] * 5])
    assert np.isfinite(gradient).all()


def test_malformed_labels_and_lengths_give_nan_to_their_example_only(rng):
    logits, lengths, labels, label_lengths = batch(rng)
    lengths, labels, label_lengths = lengths.copy(), labels.copy(), label_lengths.copy()
    labels[0, 1], labels[1, 2], lengths[2], label_lengths[3], lengths[4] = 5, 0, 8, 4, -1
    values, gradient = value_and_gradient(np.float32(logits), lengths, labels, label_lengths)
    np.testing.assert_array_equal(np.isnan(values), [True] * 5 + [False])
    assert np.isfinite(gradient).all()  # where the mask has left them out
    summed = jax.jit(jax.grad(lambda x: jnp.sum(ctc.ctc_loss(x, lengths, labels, label_lengths))))
    gradient = np.asarray(summed(np.float32(logits)))
    np.testing.assert_array_equal(np.isnan(gradient).any((1, 2)), [True] * 4 + [False] * 2)


@pytest.mark.parametrize("shape", [(0, 4, 3, 2), (2, 4, 3, 0), (2, 0, 3, 2)])
def test_no_sequences_no_labels_and_no_steps(shape):
    n, t, k, s = shape
    logits, labels = np.zeros((n, t, k), np.float32), np.ones((n, s), int)
    values = jax.jit(ctc.ctc_loss)(logits, np.full(n, t), labels, np.zeros(n, int))
    np.testing.assert_allclose(values, np.full(n, t * np.log(k)), rtol=1e-6)


def test_small_unsigned_labels_and_lengths_are_taken(rng):
    logits, *rest = batch(rng)
    with jax.numpy_dtype_promotion("strict"):
        values, _ = value_and_gradient(np.float32(logits), *(x.astype(np.uint8) for x in rest))
    np.testing.assert_allclose(values, value_and_gradient(np.float32(logits), *rest)[0], rtol=1e-6)


def test_training_learns_the_labels(rng):
    logits, lengths, labels, label_lengths = batch(rng)

    @jax.jit
    def descend(logits):
        def step(logits, _):
            value, gradient = jax.value_and_grad(
                lambda x: reduce.mean(ctc.ctc_loss(x, lengths, labels, label_lengths), mask=jnp.arange(6) != 1)
            )(logits)
            return logits - 20 * gradient, value

        return jax.lax.scan(step, logits, None, length=100)[1]

    assert descend(jnp.asarray(logits, jnp.float32))[-1] < 0.1


@pytest.mark.parametrize("blank", [-1, 3])
def test_a_blank_that_is_no_class_is_refused(blank):
    with pytest.raises(ValueError, match=rf"^blank must lie in \[0, 3\), got {blank}$"):
        ctc.ctc_loss(np.zeros((2, 3), np.float32), np.array(2), np.array([1]), np.array(1), blank=blank)
