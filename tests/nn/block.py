"""A residual block with everything that differs between training and evaluation."""

import jax.numpy as jnp
from flax import linen

from fjdl.nn import BatchNorm, Dense, Dropout
from fjdl.typing import Array


class Block(linen.Module):
    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        y = BatchNorm(name="norm")(Dense(6, name="dense")(x), train=train)
        return x + Dropout(0.5, name="dropout")(jnp.tanh(y), train=train)
