import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.losses import classification, reduce, sequence

VALUES = np.float32([[1, 2, 3], [4, np.nan, np.inf], [np.nan, np.nan, np.nan]])
LENGTHS = np.array([3, 1, 0])


@pytest.mark.parametrize(("average", "expected"), [(False, [6, 4, 0]), (True, [2, 4, 0])])
def test_padding_reaches_neither_value_nor_gradient(average, expected):
    def total(values):
        losses = sequence.sequence_loss(values, LENGTHS, average=average)
        return jnp.sum(losses), losses

    gradient, losses = jax.jit(jax.grad(total, has_aux=True))(jnp.asarray(VALUES))
    np.testing.assert_allclose(losses, expected)
    share = 1 / 3 if average else 1
    np.testing.assert_allclose(gradient, [[share] * 3, [1, 0, 0], [0, 0, 0]], rtol=1e-6)


def test_e89_e90_the_loss_of_a_recurrent_net_is_the_sum_over_time_of_softmax_cross_entropies(rng):
    logits, labels = np.float32(rng.standard_normal((2, 4, 5))), rng.integers(0, 5, (2, 4))
    lengths = np.array([4, 2])
    steps = jax.jit(classification.softmax_cross_entropy)(logits, labels)
    theirs = torch.nn.functional.cross_entropy(torch.tensor(logits).mT, torch.tensor(labels), reduction="none")
    expected = [theirs[0].sum(), theirs[1, :2].sum()]
    values = sequence.sequence_loss(steps, lengths)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert reduce.mean(values) == pytest.approx(float(sum(expected)) / 2, rel=1e-5)


def test_lengths_of_a_small_unsigned_dtype_reach_beyond_it():
    values = np.ones((2, 300), np.float32)
    with jax.numpy_dtype_promotion("strict"):
        np.testing.assert_array_equal(sequence.sequence_loss(values, jnp.array([255, 3], jnp.uint8)), [255, 3])


def test_sums_of_bfloat16_steps_are_kept_in_float32():
    values = jnp.ones((1, 1000), jnp.bfloat16)
    assert sequence.sequence_loss(values, np.array([999])) == 999


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_no_sequences_and_no_steps(shape):
    values = sequence.sequence_loss(np.zeros(shape, np.float32), np.zeros(shape[0], int), average=True)
    np.testing.assert_array_equal(values, np.zeros(shape[0]))
