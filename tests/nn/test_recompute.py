"""Blocks that are computed again for the gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import linen

from fjdl.nn import Dense, pure
from fjdl.typing import Array
from tests.nn.block import Block
from tests.support import assert_trees_close


class Stack(linen.Module):
    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        for number in range(2):
            x = Block(name=f"block{number}")(x, train=train)
        return Dense(2, name="logits")(x)


def slopes(*recompute: str) -> tuple[Any, str]:
    """Gradients with the changed statistics, and the program."""
    model, x = pure(Stack(), recompute=recompute), jnp.arange(24.0).reshape(4, 6) / 24
    params, stats = model.init(jax.random.key(0), x)

    def loss(params: Any) -> Any:
        outputs, changed = model.apply(params, stats, x, train=True, key=jax.random.key(1))
        return jnp.sum(outputs**2), changed

    program = jax.jit(jax.grad(loss, has_aux=True)).trace(params)
    return program.lower().compile()(params), str(program.jaxpr)


@pytest.mark.by_day_on_pin(1)
def test_blocks_that_run_again_give_the_same_gradients_statistics_and_random_numbers() -> None:
    (expected, plain), (found, program) = slopes(), slopes("block.")
    assert_trees_close(found, expected, rtol=1e-5, atol=1e-5)
    assert plain.count("remat") < program.count("remat")


def test_a_block_that_does_not_run_is_named() -> None:
    with pytest.raises(ValueError, match=r"recompute must name parts that run, but no part matches \['blok.'\]"):
        slopes("block.", "blok.")
