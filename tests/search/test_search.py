from functools import partial
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.search import genetic_search, random_search, simulated_annealing

KEY = jax.random.key(0)


def rastrigin(x: jax.Array) -> jax.Array:
    """A parabola with many local minima; its minimum is 0 at 0."""
    return jnp.sum(x**2 - jnp.cos(2 * jnp.pi * x) + 1)


def uniform(key: jax.Array) -> jax.Array:
    return jax.random.uniform(key, (2,), minval=-4.0, maxval=4.0)


POPULATION = jax.vmap(uniform)(jax.random.split(jax.random.key(9), 40))
SEARCHES = {
    "random": partial(random_search, sample=uniform, trials=2000),
    "annealing": partial(
        simulated_annealing, start=jnp.asarray([3.0, -3.0]), steps=3000, temperature=3.0, cooling=0.998, step_size=0.5
    ),
    "genetic": partial(genetic_search, population=POPULATION, generations=60),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_the_global_minimum_is_found_and_the_best_value_never_rises(name: str) -> None:
    found = jax.jit(lambda key: SEARCHES[name](key, rastrigin))(KEY)
    assert float(found.value) < 0.95  # the next best minima are near 1
    np.testing.assert_allclose(rastrigin(found.point), found.value, rtol=1e-5)
    np.testing.assert_allclose(found.history[-1], found.value)
    assert bool(jnp.all(jnp.diff(found.history) <= 0))


@pytest.mark.parametrize("name", SEARCHES)
def test_the_same_key_finds_the_same(name: str) -> None:
    short = {"random": {"trials": 50}, "annealing": {"steps": 50}, "genetic": {"generations": 3}}[name]
    a, b = (SEARCHES[name](KEY, rastrigin, **short) for _ in range(2))
    np.testing.assert_array_equal(a.point, b.point)


@pytest.mark.parametrize("name", SEARCHES)
def test_nan_is_never_the_best(name: str) -> None:
    def half_defined(x: jax.Array) -> jax.Array:
        return jnp.where(x[0] < 0, jnp.nan, jnp.sum(x**2))

    found = SEARCHES[name](KEY, half_defined)
    assert float(found.point[0]) >= 0
    assert np.isfinite(float(found.value))


def test_random_search_is_the_smallest_of_its_draws() -> None:
    found = random_search(KEY, jnp.sum, sample=uniform, trials=30)
    draws = jax.vmap(uniform)(jax.random.split(KEY, 30))
    np.testing.assert_allclose(found.value, np.min(np.sum(np.asarray(draws), axis=1)), rtol=1e-6)


def test_annealing_without_heat_only_descends() -> None:
    found = simulated_annealing(KEY, rastrigin, jnp.asarray([1.0, 1.0]), steps=300, temperature=1e-9, step_size=0.02)
    np.testing.assert_allclose(found.point, [1.0, 1.0], atol=0.1)  # it stays in the local minimum it started in


def test_annealing_trains_a_network_without_gradients() -> None:
    x, y = jnp.asarray([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), jnp.asarray([0.0, 1.0, 1.0, 0.0])
    flat, unravel = jax.flatten_util.ravel_pytree({"w": jnp.zeros((2, 4)), "b": jnp.zeros(4), "v": jnp.zeros(4)})

    def cost(flat: jax.Array) -> jax.Array:
        p = unravel(flat)
        return jnp.mean((jnp.tanh(x @ p["w"] + p["b"][None]) @ p["v"] - y) ** 2)

    found = jax.jit(
        lambda key: simulated_annealing(key, cost, flat, steps=6000, temperature=0.03, cooling=0.999, step_size=0.15)
    )(KEY)
    assert float(found.value) < 0.02


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", ["annealing", "genetic"])
def test_noise_in_a_small_dtype_is_drawn_in_float32(name: str, dtype: Any) -> None:
    """bfloat16 normals have 128 values, none beyond 2.7; the points of float32 draws have hundreds."""
    seen: list[np.ndarray] = []

    def objective(x: jax.Array) -> jax.Array:
        jax.debug.callback(lambda x: seen.append(np.asarray(x, np.float32)), x)
        return jnp.zeros((), x.dtype)

    if name == "annealing":
        simulated_annealing(KEY, objective, jnp.zeros(4000, dtype), steps=1, step_size=1.0)
    else:
        genetic_search(KEY, objective, jnp.zeros((4, 1000), dtype), generations=1, mutation=1.0)
    jax.effects_barrier()
    drawn = np.concatenate([x.ravel() for x in seen if x.any()])
    assert len(np.unique(drawn)) > 500
    assert 3 < np.abs(drawn).max() < 6
    np.testing.assert_allclose(drawn.std(), 1.0, atol=0.06)


def test_annealing_in_bfloat16_cools() -> None:
    """0.999 is 1 in bfloat16: without cooling in float32 the walk stays as hot as it began."""
    found = simulated_annealing(
        KEY, lambda x: jnp.sum(x * x), jnp.ones(1, jnp.bfloat16), steps=1000, temperature=1.0, cooling=0.99
    )
    assert float(found.value) < 1e-3


def test_bad_options_are_refused() -> None:
    start = jnp.zeros(2)
    with pytest.raises(ValueError, match="trials must be at least 1, got 0"):
        random_search(KEY, rastrigin, sample=uniform, trials=0)
    with pytest.raises(ValueError, match=r"temperature must be positive, got 0\.0"):
        simulated_annealing(KEY, rastrigin, start, steps=5, temperature=0.0)
    with pytest.raises(ValueError, match=r"cooling must lie in \(0, 1\], got 1\.5"):
        simulated_annealing(KEY, rastrigin, start, steps=5, cooling=1.5)
    with pytest.raises(ValueError, match=r"elite must lie in \[1, 40\), got 0"):
        genetic_search(KEY, rastrigin, POPULATION, generations=2, elite=0)
    with pytest.raises(ValueError, match="generations must be at least 1, got 0"):
        genetic_search(KEY, rastrigin, POPULATION, generations=0)
