"""Rprop: a step size for each weight, that follows the signs of its gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.optim.base import LearningRate, Number, like, require_real, transformation, zeros
from fjdl.typing import Array, PyTree, typed


class RpropState(NamedTuple):
    """What Rprop remembers: trees like the parameters, float32 (float64 for float64 parameters)."""

    size: PyTree  # the length of each weight's last step
    sign: PyTree  # the sign of its last gradient, 0 after a turn


@typed
def rprop(
    learning_rate: LearningRate,
    *,
    shrink: Number = 0.5,
    growth: Number = 1.2,
    smallest: Number = 1e-6,
    largest: Number = 50.0,
) -> optax.GradientTransformationExtraArgs:
    """Rprop: w ← w − s · sign(g), with a step s of each weight's own that starts at `learning_rate`.

    s ← s · growth while g keeps its sign, and s · shrink where it turns, within [smallest, largest]; then w rests for
    one update. Riedmiller & Braun 1993, in the form of Igel & Hüsken 2003 without going back; it needs gradients
    without noise, those of the whole data set. The rate of a schedule at step 0 is what counts. Equal to
    `torch.optim.Rprop`, and to `optax.rprop` while s stays within the limits. Raises `ValueError` for a negative
    learning rate, for `shrink` outside (0, 1), for `growth` not above 1, for limits that are not positive, and for
    complex parameters.
    """
    if not callable(learning_rate):
        within("[0, inf)", learning_rate=learning_rate)
    within("(0, 1)", shrink=shrink)
    within("(1, inf)", growth=growth)
    within("(0, inf)", smallest=smallest, largest=largest)

    def init(params: PyTree) -> RpropState:
        require_real("rprop", params)
        start = learning_rate(0) if callable(learning_rate) else learning_rate
        return RpropState(jax.tree.map(lambda z: z + like(start, z), zeros(params)), zeros(params))

    def resized(size: Array, turn: Array) -> Array:
        factor = jnp.where(turn > 0, like(growth, size), jnp.where(turn < 0, like(shrink, size), 1))
        return jnp.clip(size * factor, like(smallest, size), like(largest, size))

    def update(updates: PyTree, state: RpropState, params: PyTree) -> tuple[PyTree, RpropState]:
        del params
        turn = jax.tree.map(lambda g, sign: jnp.sign(g) * sign, updates, state.sign)
        size = jax.tree.map(resized, state.size, turn)
        sign = jax.tree.map(lambda g, t: jnp.where(t < 0, jnp.zeros_like(g), jnp.sign(g)), updates, turn)
        return jax.tree.map(lambda s, direction: -s * direction, size, sign), RpropState(size, sign)

    return transformation(init, update)
