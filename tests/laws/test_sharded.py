"""Every row of `tests/cases` inside `jax.shard_map`, which checks over which axes of the mesh each value varies.

Types and values can only go wrong where types are stated: in loops, choices, gradients by a rule, and primitives
of ours. By day rows that hold some are traced, and those with our primitives computed; at night all rows are.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from fjdl.meshes import varying
from tests.cases import CASES, Case
from tests.laws.rows import BRANCHES, OURS, build, gradients, holds, jitted, takes_arrays, transformed
from tests.meshes import EVERYWHERE, SPLIT, on_axes_of_their_own, value_and_gradients
from tests.support import assert_trees_close

Arrays = tuple[tuple[jax.Array, ...], ...]


def is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def arrays_of(case: Case, seed: int = 0) -> Arrays:
    """The arrays of each argument of the row."""
    return tuple(tuple(filter(is_array, jax.tree.leaves(argument))) for argument in build(case, seed=seed))


def filled(case: Case, arrays: Any) -> list[Any]:
    """The row's arguments with these arrays in their places."""

    def fill(argument: Any, own: Iterator[Any]) -> Any:
        return jax.tree.map(lambda leaf: next(own) if is_array(leaf) else leaf, argument)

    return [fill(argument, iter(own)) for argument, own in zip(build(case), arrays, strict=True)]


def result_and_gradients(case: Case, arrays: Any, *, over: frozenset[str] = frozenset()) -> Any:
    """A result that does not depend on what is sharded counts on each device too, where the axes are given."""

    def function(*smooth: Any) -> Any:
        moved = dict(zip(case.differentiable, smooth, strict=True))
        result = case.function(*filled(case, [moved.get(i, own) for i, own in enumerate(arrays)]))
        return varying(result, over)

    return value_and_gradients(function, *(arrays[i] for i in case.differentiable))


of_arrays = transformed(*[case for case in CASES if takes_arrays(case)])


@of_arrays
def test_in_shard_map_operands_may_be_sharded_or_replicated(case: Case) -> None:
    if holds(case, (*OURS, *BRANCHES, "custom_vjp_call")):
        operands_may_be_sharded_or_replicated(case)
    if holds(case, OURS):
        equals_the_unsharded_result(case, first=True)


@pytest.mark.slow
@of_arrays
def test_in_shard_map_all_operands_may_be_sharded_or_replicated(case: Case) -> None:
    operands_may_be_sharded_or_replicated(case)


def operands_may_be_sharded_or_replicated(case: Case) -> None:
    flat, structure = jax.tree.flatten(arrays_of(case))
    on_axes_of_their_own(lambda *flat: result_and_gradients(case, structure.unflatten(flat)), *flat)


@pytest.mark.slow
@pytest.mark.parametrize("first", [True, False])
@of_arrays
def test_in_shard_map_every_value_is_that_of_the_unsharded_call(case: Case, first: bool) -> None:
    equals_the_unsharded_result(case, first=first)


def equals_the_unsharded_result(case: Case, *, first: bool) -> None:
    """On two devices, with the first argument sharded and all others replicated, or the other way round."""
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    seeds = [arrays_of(case, seed) for seed in (0, 1)]
    split = [(place == 0) == first for place in range(len(seeds[0]))]

    def program(*arrays: Any) -> Any:
        own = [jax.tree.map(lambda x: x[0], a) if apart else a for a, apart in zip(arrays, split, strict=True)]
        over = frozenset({"data"})
        found = result_and_gradients(case, own, over=over if any(split) else frozenset())
        return jax.tree.map(lambda x: x[None], varying(found, over))

    given = [jax.tree.map(stacked, *own) if apart else own[0] for *own, apart in zip(*seeds, split, strict=True)]
    specs = tuple(SPLIT if apart else EVERYWHERE for apart in split)
    result, slopes = jax.jit(jax.shard_map(program, mesh=mesh, in_specs=specs, out_specs=SPLIT))(*given)

    alone = [[own if apart else one for own, one, apart in zip(mine, seeds[0], split, strict=True)] for mine in seeds]
    expected = [jitted(case.name)(*filled(case, own)) for own in alone]
    assert_trees_close(plain(result), plain(jax.tree.map(stacked, *expected)), rtol=1e-5, atol=1e-6)
    if case.differentiable:
        one, other = (iter(gradients(case)(*filled(case, own))) for own in alone)
        for place, slope in zip(case.differentiable, slopes, strict=True):
            for leaf, a, b in zip(jax.tree.leaves(slope), one, other, strict=False):
                whole = a + b if any(split) else a
                wanted = stacked(a, b) if split[place] else stacked(whole, whole)
                np.testing.assert_allclose(leaf, wanted, rtol=1e-5, atol=1e-5)


def stacked(a: Any, b: Any) -> Any:
    return jnp.stack([jnp.asarray(a), jnp.asarray(b)])


def plain(tree: Any) -> Any:
    """Numbers for random keys too."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)
