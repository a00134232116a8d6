"""Gradient noise whose variance falls with the number of steps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.meshes import varying_axes
from fjdl.optim.base import Number, increment, like, transformation
from fjdl.typing import Array, PRNGKey, PyTree, typed


class NoiseState(NamedTuple):
    """Where the random numbers come from."""

    step: Array  # shape (), int32: updates made so far
    key: PRNGKey  # the key of the next update


@typed
def add_noise(key: PRNGKey, *, eta: Number, gamma: Number = 0.55) -> optax.GradientTransformationExtraArgs:
    """Updates plus independent normal noise of variance eta / (1 + t)^gamma, where t counts from 0.

    The key lives in the state and is split at every update, so that a run resumed from a checkpoint draws the same
    noise. It shares no memory with `key`: the state may be donated. Complex noise has half of the variance in each
    part; inside `jax.shard_map` the shards of a leaf draw different noise. Neelakantan et al. 2015, arXiv:1511.06807,
    who take eta from {0.01, 0.3, 1} and gamma = 0.55; distributed as `optax.add_noise`. Raises `ValueError` for a
    negative eta or gamma.
    """
    within("[0, inf]", eta=eta, gamma=gamma)

    def init(params: PyTree) -> NoiseState:
        del params
        return NoiseState(jnp.zeros((), jnp.int32), jax.random.fold_in(key, 0))

    def update(updates: PyTree, state: NoiseState, params: PyTree) -> tuple[PyTree, NoiseState]:
        del params
        key, draw = jax.random.split(state.key)
        structure = jax.tree.structure(updates)
        keys = jax.tree.unflatten(structure, list(jax.random.split(draw, structure.num_leaves)))
        deviation = _deviation(state.step, eta, gamma)

        def noisy(u: Array, key: PRNGKey) -> Array:
            for axis in sorted(varying_axes(u)):
                key = jax.random.fold_in(key, jax.lax.axis_index(axis))
            return u + like(deviation, u) * jax.random.normal(key, u.shape, u.dtype)

        return jax.tree.map(noisy, updates, keys), NoiseState(increment(state.step), key)

    return transformation(init, update)


def _deviation(step: Array, eta: Number, gamma: Number) -> Array:
    time = 1 + step.astype(jnp.result_type(float))
    return jnp.sqrt(like(eta, time)) * time ** (-like(gamma, time) / 2)
