"""Sigmoid and tanh of all gates of a recurrent layer, as the platform computes them fast.

XLA:CPU fuses a gate into each of its consumers and computes it again in every one. There several gates are one
expression, in a function that is not inlined: jaxlib 0.10.2 takes 2.6 ms for what is no product in 35 steps of 64 x 512
units of an LSTM instead of 12.0, on 2 cores. XLA:CPU takes barriers away before it fuses, so that a GRU's gates of
a step were one loop, without vector instructions because it read the number of the step anew for each entry: 35 steps,
products included, took 30.7 ms and not 20.9 (best of 60).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from fjdl.measured import measured
from fjdl.platforms import by_platform
from fjdl.typing import Array

Kinds = tuple[bool, ...]  # for each gate whether it is a tanh; else it is a sigmoid


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def activated(total: Array, kinds: Kinds) -> tuple[Array, ...]:
    """Sigmoid or tanh of each of the equal parts of the last axis; its derivative is stated by the results.

    On a CPU the sigmoid is (1 + tanh(x / 2)) / 2, which is exact to 1e-7 in float32, and 0 far on the left. A TPU's
    compiler wants the parts one by one, also in the derivative: 17,743 cycles a backward step of that LSTM, not 24,439.
    """
    return by_platform(total, cpu=partial(_together, kinds=kinds), elsewhere=partial(_apart, kinds=kinds))


@activated.defjvp
def _activated_jvp(kinds: Kinds, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Any, Any]:
    gates, moved = activated(*primals, kinds), jnp.split(*tangents, len(kinds), axis=-1)
    slopes = [1 - gate * gate if tanh else gate * (1 - gate) for gate, tanh in zip(gates, kinds, strict=True)]
    return gates, tuple(slope * tangent for slope, tangent in zip(slopes, moved, strict=True))


def _together(total: Array, *, kinds: Kinds) -> tuple[Array, ...]:
    halves = np.repeat([1.0 if tanh else 0.5 for tanh in kinds], total.shape[-1] // len(kinds))
    half = jnp.asarray(halves.reshape((1,) * (total.ndim - 1) + halves.shape), total.dtype)
    gates = (SEVERAL if len(kinds) > 1 else behind_barrier)(total, half)
    return tuple(jnp.split(gates, len(kinds), axis=-1))


@jax.jit
def _scaled_tanh(total: Array, half: Array) -> Array:
    return jnp.tanh(total * half) * half + (1 - half)


def behind_barrier(total: Array, half: Array) -> Array:
    """The gates of such sums, written before anything reads them where barriers last until then."""
    return lax.optimization_barrier(_scaled_tanh(total, half))


def not_inlined(total: Array, half: Array) -> Array:
    """The gates of such sums, in a function that XLA does not inline."""
    with set_xla_metadata(inlineable="false"):
        return _scaled_tanh(total, half)


# Two layers of a GRU took 150 ms, forward and backward, and not 166 (medians of 9). With 0.12.0 whole layers were not
# faster, though 35 steps forward were: 21.5 ms and not 32.0.
SEVERAL = measured({"0.10.2": not_inlined, "0.12.0": behind_barrier})


def _apart(total: Array, *, kinds: Kinds) -> tuple[Array, ...]:
    parts = jnp.split(total, len(kinds), axis=-1)
    return tuple(jnp.tanh(part) if tanh else jax.nn.sigmoid(part) for part, tanh in zip(parts, kinds, strict=True))


def written(x: Any) -> Any:
    """`x`, a tree; on a CPU in memory before anything reads it, so that XLA draws no transposition into a product."""
    return by_platform(x, cpu=lax.optimization_barrier, elsewhere=lambda x: x)
