import jax
import jax.numpy as jnp
import numpy as np

from fjdl.functional import similarity


def test_r09_cosine_similarity_of_zero_huge_and_tiny_vectors_is_exact_with_finite_gradient():
    x = jnp.float32([[0, 0], [3e25, 4e25], [3e-25, 4e-25], [0, 1e-30]])
    y = jnp.float32([[1, 2], [4e25, 3e25], [4e-25, 3e-25], [0, 0]])

    @jax.jit
    def both(x, y):
        values, vjp = jax.vjp(similarity.cosine_similarity, x, y)
        return values, vjp(jnp.ones_like(values))

    values, gradients = both(x, y)
    np.testing.assert_allclose(values, [0, 0.96, 0.96, 0], rtol=1e-6)
    assert np.isfinite(gradients).all()
    for gradient in gradients:
        np.testing.assert_array_equal(gradient[0], [0, 0])
        np.testing.assert_array_equal(gradient[3], [0, 0])
    np.testing.assert_allclose(gradients[0][1] * 5e25, [0.8 - 0.96 * 0.6, 0.6 - 0.96 * 0.8], rtol=1e-5)
