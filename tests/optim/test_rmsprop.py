from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.optim.rmsprop import centred_rmsprop, rmsprop, scale_by_centred_rms


def variances(gradients: np.ndarray) -> np.ndarray:
    optimizer = scale_by_centred_rms(decay=0.9)

    def step(state: Any, gradient: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradient, state)
        return state, (state.variance, updates)

    start = optimizer.init(jnp.asarray(gradients[0]))
    variance, updates = jax.jit(lambda s, g: jax.lax.scan(step, s, g)[1])(start, gradients)
    assert np.all(np.isfinite(updates))
    return np.asarray(variance)


def test_the_variance_of_equal_gradients_dies_out_without_becoming_negative() -> None:
    gradient = np.float32([1.0, 1234.567])
    decayed = np.repeat(0.9 ** np.arange(1, 301)[:, None], 2, axis=1)
    actual = variances(np.broadcast_to(gradient, (300, 2)))
    np.testing.assert_allclose(actual / gradient**2, decayed * (1 - decayed), rtol=1e-4, atol=1e-11)
    assert np.min(actual) >= 0
    mean, square = (1 - decayed) * gradient, (1 - decayed) * gradient**2
    assert np.min(square.astype(np.float32) - mean.astype(np.float32) ** 2) < 0  # what the subtraction would root


def test_the_variance_of_gradients_around_a_large_mean_keeps_its_digits(rng: np.random.Generator) -> None:
    gradients = (1e4 + rng.standard_normal((300, 2))).astype(np.float32)
    mean = square = np.zeros(2)
    for gradient in gradients.astype(np.float64):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.9 * square + 0.1 * gradient**2
    np.testing.assert_allclose(variances(gradients)[-1], square - mean**2, rtol=3e-3)


@pytest.mark.parametrize("factory", [rmsprop, centred_rmsprop])
def test_a_coarse_velocity_halves_its_memory(factory: Any) -> None:
    params = jnp.ones(2)
    state = factory(0.1, momentum=0.9, velocity_dtype=jnp.bfloat16).init(params)
    assert [leaf.dtype for leaf in jax.tree.leaves(state)].count(jnp.bfloat16) == 1


@pytest.mark.parametrize("factory", [rmsprop, centred_rmsprop])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 1.0}, r"decay must lie in \[0, 1\), got 1.0"),
        ({"eps": -1e-8}, "eps must not be negative, got -1e-08"),
        ({"eps_root": float("nan")}, "eps_root must not be negative, got nan"),
        ({"eps": 0.0}, "eps or eps_root must be positive, got 0 for both"),
        ({"momentum": 1.0}, r"momentum must lie in \[0, 1\), got 1.0"),
    ],
)
def test_options_outside_of_their_range_are_refused(factory: Any, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        factory(0.1, **options)
