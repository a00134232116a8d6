"""Parts that run in training as in evaluation."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import linen

from fjdl import tree
from fjdl.nn import BatchNorm, Conv, pure
from fjdl.nn.conv_norm import conv_then_norm
from fjdl.typing import Array
from tests.nn.block import Block
from tests.support import assert_trees_close


class Stack(linen.Module):
    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        for number in range(2):
            x = Block(name=f"block{number}")(x, train=train)
        return x


class Pixels(linen.Module):
    """A convolution of one pixel and its normalization, which 16-bit data compute together in training."""

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        return conv_then_norm(x, Conv(4, (1, 1), use_bias=False, name="conv"), BatchNorm(name="norm"), train=train)


X = jnp.arange(24.0).reshape(4, 6) / 24


def run(model: Any, x: Array, *, train: bool) -> tuple[Array, Any]:
    params, stats = model.init(jax.random.key(0), x)
    return model.apply(params, stats, x, train=train, key=jax.random.key(1))


def test_still_parts_keep_their_statistics_and_drop_nothing() -> None:
    outputs, stats = run(pure(Stack(), still=("block.",)), X, train=True)
    evaluated, before = run(pure(Stack()), X, train=False)
    assert_trees_close(outputs, evaluated, rtol=1e-6, atol=1e-6)
    assert tree.digest(stats) == tree.digest(before)


def test_the_other_parts_are_trained() -> None:
    first = run(pure(Stack(), still=("block0(/.*)?",)), X, train=True)[1]["batch_stats"]
    drawn = run(pure(Stack()), X, train=False)[1]["batch_stats"]
    assert tree.digest(first["block0"]) == tree.digest(drawn["block0"])
    assert tree.digest(first["block1"]) != tree.digest(drawn["block1"])


def test_a_still_normalization_of_a_product_is_that_of_evaluation() -> None:
    x = jnp.arange(16, dtype=jnp.bfloat16).reshape(1, 2, 2, 4) / 16
    outputs, stats = run(pure(Pixels(), still=("norm",)), x, train=True)
    evaluated, before = run(pure(Pixels()), x, train=False)
    assert_trees_close(outputs.astype(float), evaluated.astype(float), rtol=1e-2, atol=1e-2)
    assert tree.digest(stats) == tree.digest(before)


@pytest.mark.slow
def test_it_goes_with_recomputation() -> None:
    both = pure(Stack(), still=("block0(/.*)?",), recompute=("block.",))
    assert_trees_close(
        run(both, X, train=True), run(pure(Stack(), still=("block0(/.*)?",)), X, train=True), rtol=1e-6, atol=1e-6
    )


def test_a_rule_must_match_a_part_that_takes_train() -> None:
    with pytest.raises(
        ValueError, match=r"still must name parts that take train, but no such part matches \['block0/dense'\]"
    ):
        run(pure(Stack(), still=("block0/dense", "block1")), X, train=True)
