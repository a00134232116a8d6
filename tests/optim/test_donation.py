"""Parameters and a state made outside of a program may both be given up to a step, by `donate_argnums`."""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.optim import adafactor, ema_init
from fjdl.tree import names
from tests.optim.table import ROWS, Row


def sharing(tree: Any) -> list[str]:
    """Names of the leaves whose memory another leaf has too."""
    leaves = dict(zip(names(tree), jax.tree.leaves(tree), strict=True))
    places = {name: leaf.unsafe_buffer_pointer() for name, leaf in leaves.items() if leaf.size}
    count = Counter(places.values())
    return [name for name, place in places.items() if count[place] > 1]


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_no_two_arrays_of_parameters_and_state_share_their_memory(row: Row) -> None:
    params = {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4), "scale": jnp.ones(4)}
    assert not sharing((params, row.ours(1e-3).init(params)))


def test_an_average_does_not_share_that_of_the_parameters() -> None:
    params = {"kernel": jnp.ones((3, 4))}
    assert not sharing((params, ema_init(params)))


def test_a_donated_state_of_adafactor_takes_a_step() -> None:
    optimizer, params = adafactor(0.1), {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)}
    step = jax.jit(lambda params, state: optimizer.update(params, state, params), donate_argnums=(0, 1))
    updates, _ = step(params, optimizer.init(params))
    assert np.isfinite(updates["kernel"]).all()
