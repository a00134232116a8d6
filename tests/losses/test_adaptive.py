import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.losses import adaptive_log_probabilities, adaptive_softmax_loss
from tests.cases.losses_adaptive import WEIGHTS, D, by_torch, words
from tests.support import float64


def drawn(rng):
    """Vectors, ids and weights in double precision."""
    return rng.standard_normal((3, 3, D)), words(rng), tuple(jax.tree.map(np.float64, make(rng)) for make in WEIGHTS)


@pytest.mark.parametrize("capacities", [None, (4, 2), (2, 9), (0, 0)], ids=str)
def test_value_and_gradients_are_those_of_torch_whether_the_capacity_is_enough_or_not(rng, capacities):
    h, labels, weights = drawn(rng)
    module, x = by_torch(*weights), torch.tensor(h, requires_grad=True)
    output = module(x.flatten(0, 1), torch.tensor(labels).long().flatten()).output
    (-output).sum().backward()

    @jax.jit
    def both(h, weights):
        values = adaptive_softmax_loss(h, labels, *weights, capacities=capacities)
        return jnp.sum(values), values

    with float64():
        arrays = jnp.asarray(h), jax.tree.map(jnp.asarray, weights)
        (of_h, (table, clusters, tails)), values = jax.grad(both, argnums=(0, 1), has_aux=True)(*arrays)
    np.testing.assert_allclose(-values.ravel(), output.detach(), rtol=1e-10)
    np.testing.assert_allclose(of_h, x.grad, rtol=1e-10, atol=1e-13)
    ours = [np.concatenate([table, clusters]), *(array for rows, kernel in tails for array in (kernel, rows))]
    for gradient, weight in zip(ours, module.parameters(), strict=True):
        np.testing.assert_allclose(gradient, weight.grad, rtol=1e-10, atol=1e-13)


def test_a_label_that_is_no_word_is_nan_alone_and_reaches_nothing_behind_a_mask(rng):
    h, labels, (table, *rest) = drawn(rng)
    labels[0, 0], labels[1, 1] = -1, 9
    valid = (labels >= 0) & (labels < 9)

    @jax.jit
    def both(h, table):
        values = adaptive_softmax_loss(h, labels, table, *rest, capacities=(2, 2))
        return jnp.sum(jnp.where(valid, values, 0)), values

    arrays = jnp.asarray(h, jnp.float32), jnp.asarray(table, jnp.float32)
    (_, values), gradients = jax.value_and_grad(both, argnums=(0, 1), has_aux=True)(*arrays)
    np.testing.assert_array_equal(np.isfinite(values), valid)
    np.testing.assert_array_equal(np.any(gradients[0] != 0, axis=-1), valid)
    assert np.isfinite(gradients[1]).all()


def test_probabilities_of_all_words_are_those_of_torch_and_their_sum_is_one(rng):
    h, _, weights = drawn(rng)
    every = adaptive_log_probabilities(jnp.asarray(h, jnp.float32), *weights)
    np.testing.assert_allclose(np.exp(every).sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(every[0], by_torch(*weights).log_prob(torch.tensor(h[0])).detach(), rtol=1e-5, atol=1e-5)
