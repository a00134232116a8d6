"""Simulated annealing."""

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.meshes import scan
from fjdl.numerics import wide, widened
from fjdl.search.result import Found, Objective
from fjdl.typing import Array, Float, PRNGKey, typed

Walk = tuple[Array, Array, Array, Array]  # point, its value, the best point, its value


@typed
def simulated_annealing(
    key: PRNGKey,
    objective: Objective,
    start: Float[Array, " d"],
    *,
    steps: int,
    temperature: float = 1.0,
    cooling: float = 0.999,
    step_size: float = 0.1,
) -> Found:
    """A random walk that takes every step down, and a step up by Δ with probability `exp(-Δ / T)`.

    Steps are normal with deviation `step_size`; the temperature T starts at `temperature`, in units of the objective,
    and is multiplied by `cooling` in every step, so the walk leaves local minima early and settles late (Kirkpatrick,
    Gelatt & Vecchi 1983, Science 220). Steps and temperatures are float32 whatever the dtype of `start`. Raises
    `ValueError` where `steps`, `temperature` or `step_size` is not positive or `cooling` is outside (0, 1].
    """
    within("(0, inf]", steps=steps, temperature=temperature, step_size=step_size)
    within("(0, 1]", cooling=cooling)

    def step(carry: Walk, number: Array) -> tuple[Walk, Array]:
        point, value, best, lowest = carry
        move, chance = jax.random.split(jax.random.fold_in(key, number))
        noise = step_size * jax.random.normal(move, point.shape, wide(point.dtype))
        candidate = (widened(point) + noise).astype(point.dtype)
        reached = _finite(objective(candidate))
        heat = temperature * cooling ** number.astype(wide(reached.dtype))
        likely = jnp.exp((widened(value) - widened(reached)) / heat)
        accepted = (reached <= value) | (jax.random.uniform(chance, (), heat.dtype) < likely)
        point, value = jnp.where(accepted, candidate, point), jnp.where(accepted, reached, value)
        best, lowest = jnp.where(value < lowest, point, best), jnp.minimum(value, lowest)
        return (point, value, best, lowest), lowest

    value = _finite(objective(start))
    (_, _, best, lowest), history = scan(step, (start, value, start, value), jnp.arange(steps))
    return Found(best, lowest, history)


def _finite(value: Array) -> Array:
    return jnp.where(jnp.isnan(value), jnp.inf, value)
