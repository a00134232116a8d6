"""Laws of everything public that is a transformation, optimizers and their parts."""

import inspect
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim
from tests.optim.table import EVERYTHING, PARTS, ROWS, Part
from tests.support import own_names

every_part = pytest.mark.parametrize("part", EVERYTHING.values(), ids=EVERYTHING.keys())

PARAMS = {"kernel": jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)), jnp.float32)}


def test_every_transformation_is_in_a_table() -> None:
    public = {name: getattr(optim, name) for name in own_names(optim)}
    made = {
        name
        for name, value in public.items()
        if inspect.isfunction(value)
        and inspect.signature(value).return_annotation is optax.GradientTransformationExtraArgs
        and not any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(value).parameters.values())  # chain
    }
    assert made <= PARTS.keys() | ROWS.keys()
    assert PARTS.keys() <= made


@every_part
def test_keyword_arguments_for_the_neighbours_in_a_chain_pass_by(part: Part) -> None:
    optimizer = part.build()

    def program(**others: float) -> str:
        def update(params: Any) -> Any:
            extra = {**others, **part.extra(params)}
            return optimizer.update(params, optimizer.init(params), params, **extra)  # type: ignore[call-arg]

        return re.sub(r"at 0x\w+", "", str(jax.make_jaxpr(update)(PARAMS)))

    assert program(value=1.0, of_a_neighbour=2.0) == program()


@pytest.mark.parametrize(  # by day those of whole optimizers are injected below
    "part", [pytest.param(p, id=n, marks=[pytest.mark.slow] * (n not in PARTS)) for n, p in EVERYTHING.items()]
)
def test_numbers_can_be_injected_and_counts_are_named_in_static_args(part: Part) -> None:
    """A count is a whole number that chooses shapes or code."""
    signature = inspect.signature(part.factory)
    bound = signature.bind(*part.args, **part.options)
    bound.apply_defaults()
    counts = [name for name, value in bound.arguments.items() if type(value) is int]
    static = [*counts, *(["key"] if part.random else [])]

    def updates(optimizer: Any) -> Any:
        extra = part.extra(PARAMS)
        return optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS, **extra)[0]["kernel"]

    injected = optax.inject_hyperparams(part.factory, static_args=static)(*part.args, **part.options)
    np.testing.assert_allclose(updates(injected), updates(part.build()), rtol=1e-5, atol=1e-6)
    if counts:
        rule = rf"({'|'.join(counts)}) must be a Python integer, got an array; name it in static_args of optax"
        with pytest.raises(ValueError, match=rule):
            optax.inject_hyperparams(part.factory, static_args="key" if part.random else ())(
                *part.args, **part.options
            ).init(PARAMS)


ALIASES = [
    getattr(optim, name)
    for name in own_names(optim)
    if inspect.isfunction(getattr(optim, name))
    and next(iter(inspect.signature(getattr(optim, name)).parameters), "") == "learning_rate"
]


@pytest.mark.parametrize("alias", ALIASES, ids=lambda alias: alias.__name__)
def test_every_alias_takes_numbers_of_numpy_and_injected_ones(alias: Any) -> None:
    options = {"weight_decay": 0.01} if "weight_decay" in inspect.signature(alias).parameters else {}
    parameters = inspect.signature(alias).parameters.values()
    plain = {p.name: p.default for p in parameters if type(p.default) in (int, float)} | options
    counts = [name for name, value in plain.items() if type(value) is int]
    of_numpy = {name: np.float32(value) for name, value in plain.items() if name not in counts}

    def updates(optimizer: Any) -> Any:
        return optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)[0]["kernel"]

    expected = updates(alias(0.01, **options))
    np.testing.assert_allclose(updates(alias(np.float32(0.01), **of_numpy)), expected, rtol=1e-4, atol=1e-7)
    injected = optax.inject_hyperparams(alias, static_args=counts)(learning_rate=0.01, **options)
    np.testing.assert_allclose(updates(injected), expected, rtol=1e-4, atol=1e-7)
    if counts:
        with pytest.raises(ValueError, match="must be a Python integer, got an array"):
            optax.inject_hyperparams(alias)(learning_rate=0.01, **options).init(PARAMS)


def test_frozen_takes_keyword_arguments() -> None:
    updates, _ = optim.FROZEN.update(PARAMS, optim.FROZEN.init(PARAMS), PARAMS, value=1.0)
    np.testing.assert_array_equal(updates["kernel"], 0.0)
