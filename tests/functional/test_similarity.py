import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from fjdl.functional import similarity
from tests.support import float64


def test_rows_and_matrix_agree_with_torch_and_sklearn_in_value_and_gradients(rng):
    a, b = rng.standard_normal((2, 4, 3))
    x, y = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    expected = torch.nn.functional.cosine_similarity(x, y, dim=-1)
    expected.sum().backward()
    with float64():
        values, vjp = jax.vjp(jax.jit(similarity.cosine_similarity), a, b)
        gradients = vjp(jnp.ones(4))
        matrix = jax.jit(similarity.cosine_similarities)(a, b)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(gradients[0], x.grad, rtol=1e-10)
    np.testing.assert_allclose(gradients[1], y.grad, rtol=1e-10)
    np.testing.assert_allclose(matrix, cosine_similarity(a, b), rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(matrix), values, rtol=1e-12)


def test_distances_of_near_points_far_from_the_origin_keep_their_digits():
    x = np.float32([[1000, 1000], [1000.0625, 1000]])
    np.testing.assert_allclose(similarity.euclidean_distances(x, x), [[0, 0.0625], [0.0625, 0]], rtol=1e-6)


def test_the_distance_of_a_row_from_itself_has_gradient_zero():
    x = jnp.float32([[1, 2], [1, 2], [4, 6]])
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(similarity.euclidean_distances(x, x))))(x)
    np.testing.assert_allclose(gradient, [[-1.2, -1.6], [-1.2, -1.6], [2.4, 3.2]], rtol=1e-6)


def test_halves_are_computed_in_float32_and_returned_in_their_dtype():
    x = jnp.full((1, 70_000), 10, jnp.float16)
    value = similarity.cosine_similarity(x, x)
    assert value.dtype == jnp.float16
    assert value[0] == 1
    assert similarity.euclidean_distance(x, -x)[0] == jnp.float16(np.sqrt(70_000) * 20)


def test_empty_sets_have_empty_matrices():
    assert similarity.cosine_similarities(np.zeros((0, 3), np.float32), np.zeros((2, 3), np.float32)).shape == (0, 2)
    assert similarity.euclidean_distances(np.zeros((2, 3), np.float32), np.zeros((0, 3), np.float32)).shape == (2, 0)


def test_vectors_of_other_lengths_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^euclidean_distances: argument `y` must be .*d=3.*, got .*$"):
        similarity.euclidean_distances(np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float32))
