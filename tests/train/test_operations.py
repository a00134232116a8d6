"""The first operation that is not finite has the name, the line and the module of the fault that was put there."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import linen

from fjdl.train.operations import Found, not_finite
from fjdl.typing import Array


def log_of_zero(x: Array) -> Array:
    return jnp.sum(jnp.log(x))


def overflow(x: Array) -> Array:
    return jnp.sum(jnp.exp(1000 * x))


def zero_variance(x: Array) -> Array:
    centred = x - jnp.mean(x)
    return jnp.sum(centred / jnp.sqrt(jnp.mean(centred**2)))


def square_root_of_zero(x: Array) -> Array:
    return jnp.sum(jnp.sqrt(0 * x))


def later_in_a_loop(x: Array) -> Array:
    return jnp.sum(jax.lax.scan(lambda c, _: (jnp.exp(c), None), x, length=5)[0])


def in_a_branch(x: Array) -> Array:
    return jax.lax.cond(x[0] > 0, lambda x: jnp.sum(jnp.log(x - x)), jnp.sum, x)


def until_it_breaks(x: Array) -> Array:
    return jnp.sum(jax.lax.while_loop(lambda c: jnp.isfinite(c[0]), lambda c: c * c, 1 + x))


@jax.custom_vjp
def straight(x: Array) -> Array:
    return jnp.sum(1 / (x - x))


straight.defvjp(lambda x: (straight(x), x), lambda x, g: (g * x,))

FAULTS: dict[str, tuple[Callable[[Array], Array], list[float], str, str, str]] = {
    "log 0": (log_of_zero, [1.0, 0.0], "float32", "log", "infinity"),
    "overflow": (overflow, [0.001, 1.0], "float32", "exp", "infinity"),
    "overflow in float16": (overflow, [0.001, 0.02], "float16", "exp", "infinity"),
    "overflow in bfloat16": (overflow, [0.001, 0.1], "bfloat16", "exp", "infinity"),
    "zero variance": (zero_variance, [2.0, 2.0], "float32", "div", "NaN"),
    "later in a loop": (later_in_a_loop, [0.5, 1.0], "float32", "exp", "infinity"),
    "in a branch": (in_a_branch, [1.0, 2.0], "float32", "log", "infinity"),
    "until it breaks": (until_it_breaks, [1.0], "float32", "mul", "infinity"),
    "in a rule of one's own": (straight, [1.0], "float32", "div", "infinity"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_fault_is_named_with_its_line(name: str, compiled: bool) -> None:
    function, values, dtype, operation, result = FAULTS[name]
    called = jax.jit(function) if compiled else function
    (found,) = not_finite(called, jnp.asarray(values, dtype))
    assert (found.cause.operation, found.cause.result) == (operation, result)
    lines, start = inspect.getsourcelines(getattr(function, "fun", function))
    file, _, rest = found.cause.place.partition(":")
    assert file == __file__
    assert start <= int(rest.split()[0]) < start + len(lines)
    assert f"{operation} of {dtype}" in str(found.cause)


def test_a_gradient_that_is_not_finite_is_told_apart_from_a_loss_that_is() -> None:
    def both(x: Array) -> Any:
        loss, gradient = jax.value_and_grad(square_root_of_zero)(x)
        return {"loss": loss, "gradient": gradient}

    (found,) = not_finite(both, jnp.ones(2))
    assert (found.name, found.cause.operation, found.cause.result) == ("gradient", "div", "infinity")


def test_what_is_not_chosen_is_no_cause() -> None:
    assert not_finite(lambda x: jnp.where(x > 0, jnp.log(x), 0.0), jnp.array([0.0, 1.0])) == []
    found = not_finite(lambda x: jnp.where(x > 0, jnp.log(x), 0.0) / (x - x), jnp.array([0.0, 1.0]))
    assert [each.cause.operation for each in found] == ["div"]


def masked_softmax(x: Array) -> Array:
    scores = jnp.where(x > 0, x, -jnp.inf)
    return jnp.exp(scores - jnp.max(scores))


def test_the_infinity_of_a_mask_is_no_cause_but_what_makes_a_nan_of_it_is() -> None:
    assert not_finite(masked_softmax, jnp.array([-1.0, 1.0])) == []
    (found,) = not_finite(masked_softmax, jnp.array([-1.0, -1.0]))
    assert (found.cause.operation, found.cause.result) == ("sub", "NaN")
    (only,) = not_finite(lambda x: jnp.where(x > 0, x, -jnp.inf), jnp.array([-1.0]))
    assert only.cause.result == "infinity"


def test_a_constant_of_the_program_that_is_nan_is_found_where_it_is_used() -> None:
    (found,) = not_finite(lambda x: jnp.sum(x) * jnp.nan, jnp.ones(2))
    assert (found.cause.operation, found.cause.result) == ("mul", "NaN")


def test_an_argument_that_is_not_finite_is_named_by_its_path() -> None:
    data = {"image": jnp.array([1.0, jnp.nan]), "label": jnp.array([0, 1])}
    (found,) = not_finite(lambda w, batch: w * batch["image"], 2.0, data, arguments=("weight", "batch"))
    assert str(found.cause) == "batch/image holds NaN before any operation"


class Hidden(linen.Module):
    @linen.compact
    def __call__(self, x: Array) -> Array:
        return jnp.log(x - self.param("shift", linen.initializers.ones, (1, 1)))


class Outer(linen.Module):
    @linen.compact
    def __call__(self, x: Array) -> Array:
        return jnp.sum(Hidden(name="inner")(x))


def nearest(found: list[Found]) -> Found:
    return min(found, key=lambda each: each.distance)


def test_the_module_is_named_and_the_parameter_nearest_to_the_fault() -> None:
    model = Outer()
    params = model.init(jax.random.key(0), jnp.full((2, 1), 2.0))
    found = not_finite(jax.value_and_grad(model.apply), params, jnp.ones((2, 1)))
    assert {each.cause.module for each in found} == {"Outer/inner"}
    assert nearest(found[1:]).name.endswith("inner/shift")


def test_functions_of_jax_that_were_traced_before_have_the_line_that_called_them() -> None:
    jax.nn.relu(jnp.ones(3))
    called = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    (found,) = not_finite(lambda x: jax.nn.softplus(jnp.exp(x)), jnp.float32([100.0, 0, 0]))
    assert found.cause.place.startswith(f"{__file__}:{called} ")


def test_keys_integers_and_empty_arrays_are_no_numbers_that_could_be_wrong() -> None:
    def drawn(key: Any, rows: Array, nothing: Array) -> Any:
        return jax.random.normal(jax.random.fold_in(key, 1), (2,)), rows + 1, jnp.sum(nothing)

    assert not_finite(drawn, jax.random.key(0), jnp.arange(3), jnp.zeros((0, 2))) == []
