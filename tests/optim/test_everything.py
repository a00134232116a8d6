"""Laws of everything public that is a transformation, optimizers and their parts."""

import inspect

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim
from tests.optim.table import EVERYTHING, PARTS, ROWS, Part

every_part = pytest.mark.parametrize("part", EVERYTHING.values(), ids=EVERYTHING.keys())

PARAMS = {"kernel": jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)), jnp.float32)}


def test_every_transformation_is_in_a_table() -> None:
    public = {name: getattr(optim, name) for name in optim.__all__}
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
    extra = {"value": 1.0, **part.extra(PARAMS), "of_a_neighbour": 2.0}
    updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS, **extra)  # type: ignore[call-arg]  # optax leaves them out
    alone, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS, **part.extra(PARAMS))
    np.testing.assert_array_equal(updates["kernel"], alone["kernel"])


def test_frozen_takes_keyword_arguments() -> None:
    updates, _ = optim.FROZEN.update(PARAMS, optim.FROZEN.init(PARAMS), PARAMS, value=1.0)
    np.testing.assert_array_equal(updates["kernel"], 0.0)
