"""How a recipe's precision rounds the factors of every product in the programs for an accelerator.

The programs are lowered for a TPU, which needs none here, and read.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import linen

from experiments.quantize import batch_prediction
from fjdl import optim
from fjdl.functional import conv2d
from fjdl.model import Model
from fjdl.nn import BatchNorm, Conv, Dense
from fjdl.train.precision import PRECISIONS, Precision, activation_dtype
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.train.state import init_state
from fjdl.train.whole import whole_training
from fjdl.typing import Array
from tests.products import Product, products_of
from tests.train.toy import batch, first_state, mesh, program, quick, recipe, splits

EXPECTED = {
    "float32": Product(("f32", "f32"), "HIGHEST"),
    "tensorfloat32": Product(("f32", "f32"), "HIGH"),
    "bfloat16": Product(("bf16", "bf16"), "DEFAULT"),
    "float16": Product(("f16", "f16"), "DEFAULT"),
}
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


class Network(linen.Module):
    """A convolution, a normalization, one of JAX's own products, and a layer."""

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = BatchNorm()(Conv(4, window=(3, 3), stride=2)(x), train=train)
        mixing = self.param("mixing", linen.initializers.normal(), (4, 4))
        return Dense(10)((jax.nn.relu(x) @ mixing.astype(x.dtype)).reshape(len(x), -1))


def made(precision: Precision, **changes: Any) -> Recipe:
    return recipe(model=quick(Network()), precision=precision, **changes)


def lowered(function: Any, *args: Any) -> list[Product]:
    """The products of the function's program for a TPU."""
    jitted = function if hasattr(function, "trace") else jax.jit(function)
    return products_of(jitted.trace(*args).lower(lowering_platforms=("tpu",)).as_text())


def training(recipe: Recipe) -> list[Product]:
    """Epochs and evaluations."""
    train, validation = (place(part, mesh()) for part in (splits().train, splits().validation))
    return lowered(lambda: whole_training(recipe, train, each=validation, mesh=mesh()))


def step(recipe: Recipe) -> list[Product]:
    """One step on a streamed batch."""
    single = program(recipe).single
    return lowered(single.step, first_state(recipe, batch(32)), single.start(), batch(32))


def evaluation(recipe: Recipe) -> list[Product]:
    """The evaluation of a streamed batch."""
    evaluator, state = program(recipe).evaluator, first_state(recipe, batch(32))
    return lowered(evaluator.step, evaluator.start(32), state.params, state.stats, batch(32))


def prediction(recipe: Recipe) -> list[Product]:
    """The outputs for all examples."""
    evaluator, state = program(recipe).evaluator, first_state(recipe, batch(32))
    return lowered(evaluator.answers, jnp.negative, state.params, state.stats, place(splits().test, mesh()))


def timing(recipe: Recipe) -> list[Product]:
    """What `experiments.quantize` measures."""
    state = first_state(recipe, batch(32))
    return lowered(batch_prediction(recipe, state.stats, splits().test, size=8), state.params)


LEAST = {training: 11, step: 8, evaluation: 3, prediction: 3, timing: 3}  # products of each program


@pytest.mark.parametrize("programs", LEAST, ids=lambda function: function.__name__)
@each_precision
def test_every_product_of_every_program_is_as_precise_as_the_recipe_asks(
    precision: Precision, programs: Callable[[Recipe], list[Product]]
) -> None:
    found = programs(made(precision))
    assert set(found) == {EXPECTED[precision]}
    assert len(found) >= LEAST[programs]


@each_precision
def test_the_first_parameters_are_found_with_the_precision_of_the_recipe(precision: Precision) -> None:
    def init(key: Any, inputs: Array) -> tuple[Any, Any]:
        return {"kernel": conv2d(inputs, jnp.ones((3, 3, 1, 2), inputs.dtype))}, {}

    learned = made(precision, optimizer=lambda steps: optim.sgd(0.1))
    fitted = Recipe(**{**vars(learned), "model": Model(init, learned.model.apply)})
    images = jnp.ones((2, 8, 8, 1), activation_dtype(precision))
    assert lowered(lambda: init_state(fitted, images, steps=1)) == [EXPECTED[precision]]


@pytest.mark.parametrize("precision", ["tensorfloat32", "bfloat16", "float16"])
def test_an_optimizer_keeps_the_precision_that_it_states(precision: Precision) -> None:
    with_products = made(precision, optimizer=lambda steps: optim.muon(0.1))
    stated = Product(("f32", "f32"), "HIGHEST")
    assert set(step(with_products)) == {EXPECTED[precision], stated}


@pytest.mark.by_day_on_pin(1)
def test_products_of_other_arrays_are_as_the_user_has_them_in_bfloat16() -> None:
    def penalty(params: Any) -> Array:
        return jnp.sum(params["mixing"] @ params["mixing"])

    assert Product(("f32", "f32"), "DEFAULT") in step(made("bfloat16", penalty=penalty))
    with jax.default_matmul_precision("highest"):
        found = step(made("bfloat16", penalty=penalty))
    assert {product.precision for product in found} == {"HIGHEST"}
