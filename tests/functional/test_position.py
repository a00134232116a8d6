import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import rotary_halves, rotary_interleaved, sinusoidal_positions


@pytest.mark.parametrize("rotate", [rotary_halves, rotary_interleaved])
def test_products_of_rotated_vectors_depend_on_the_distance_alone(rotate: object, rng: np.random.Generator) -> None:
    q, k = (jnp.asarray(rng.standard_normal((1, 1, 1, 8)), jnp.float32) for _ in range(2))

    def product(a: int, b: int) -> float:
        return float(jnp.sum(rotate(q, jnp.array([[a]])) * rotate(k, jnp.array([[b]]))))

    assert product(3, 1) == pytest.approx(product(7, 5), rel=1e-4)
    assert product(3, 1) != pytest.approx(product(3, 2), rel=1e-2)
    np.testing.assert_array_equal(rotate(q), q)


def test_waves_have_the_periods_of_the_paper() -> None:
    waves = sinusoidal_positions(jnp.array([0.0, 2 * np.pi]), features=512)
    assert waves.shape == (2, 512)
    np.testing.assert_array_equal(waves[0].reshape(-1, 2), np.tile([0, 1], (256, 1)))
    np.testing.assert_allclose(waves[1, :2], [0, 1], atol=1e-5)
    np.testing.assert_allclose(waves[1, -2], np.sin(2 * np.pi / 10000 ** (510 / 512)), rtol=1e-4)
    with pytest.raises(ValueError, match="features must be even, got 3"):
        sinusoidal_positions(jnp.arange(2), features=3)
