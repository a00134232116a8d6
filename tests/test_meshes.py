"""Loops and branches inside `jax.shard_map`, by hand, and that no others are used."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from fjdl import meshes
from fjdl.augment import apply_with_probability, choose_one, rand_augment
from fjdl.classical.descent import descend
from fjdl.classical.logistic import fit_binary, fit_softmax
from fjdl.optim import sgd
from tests.meshes import EVERYWHERE, SPLIT, on_axes_of_their_own
from tests.support import ROOT

OURS = r"lax\.(scan|while_loop|fori_loop|cond|switch)\("
ON_THE_HOST = ("meshes.py", "train", "plots")  # the last two run outside of shard_map


@pytest.mark.parametrize("path", sorted((ROOT / "fjdl").rglob("*.py")), ids=lambda path: path.stem)
def test_loops_and_branches_are_those_that_know_meshes(path: Any) -> None:
    if path.relative_to(ROOT / "fjdl").parts[0] not in ON_THE_HOST:
        assert not re.findall(OURS, path.read_text()), "take them from fjdl.meshes"


def test_a_loop_whose_length_varies_gives_what_varies() -> None:
    """JAX calls the counter replicated, though the devices count to different numbers."""
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])

    def count(limit: Any) -> Any:
        counter, _ = meshes.while_loop(lambda c: c[0] < limit[0], lambda c: (c[0] + 1, 1), (0, 0))
        return jnp.asarray(counter)[None]

    mapped = jax.jit(jax.shard_map(count, mesh=mesh, in_specs=SPLIT, out_specs=SPLIT))
    np.testing.assert_array_equal(mapped(jnp.array([3, 5])), [3, 5])
    with pytest.raises(ValueError, match="out_specs"):
        jax.eval_shape(jax.shard_map(count, mesh=mesh, in_specs=SPLIT, out_specs=EVERYWHERE), jnp.array([3, 5]))


def test_carries_vary_over_what_the_body_holds_and_what_it_brings() -> None:
    def program(held: Any, brought: Any) -> None:
        (first, second), _ = meshes.scan(lambda c, x: ((c[1] + held, x), None), (0.0, 0.0), brought)
        assert meshes.varying_axes(first) == {"axis0", "axis1"}
        assert meshes.varying_axes(second) == {"axis1"}
        empty, _ = meshes.scan(lambda c, x: (c + held + x, None), 0.0, brought[:0])
        looped = meshes.fori_loop(0, 3, lambda i, c: c * held + i, 1.0)
        assert (meshes.varying_axes(empty), meshes.varying_axes(looped)) == ({"axis0", "axis1"}, {"axis0"})

    on_axes_of_their_own(program, jnp.float32(1), jnp.ones(4))


def test_branches_agree_and_vary_as_the_choice_does() -> None:
    def program(chosen: Any, x: Any, y: Any) -> None:
        either = meshes.cond(chosen > 0, lambda: (x, 1.0), lambda: (y, 2.0))
        assert meshes.varying_axes(either[0]) == {"axis0", "axis1", "axis2"}
        assert meshes.varying_axes(either[1]) == {"axis0"}
        one = meshes.switch(0, (jnp.sin, lambda v: v * y), x)
        assert meshes.varying_axes(one) == {"axis1", "axis2"}

    on_axes_of_their_own(program, jnp.float32(1), jnp.float32(1), jnp.float32(2))


def test_random_augmentations_take_sharded_keys_or_images() -> None:
    def program(key: Any, image: Any) -> None:
        noisy = lambda key, x: x + jax.random.normal(key, x.shape)  # noqa: E731
        apply_with_probability(noisy, probability=0.5)(key, image)
        choose_one(noisy, lambda key, x: x)(key, image)
        rand_augment(key, image)

    on_axes_of_their_own(program, jax.random.key(0), jnp.ones((4, 4, 3)))


def test_loops_that_fit_take_sharded_data() -> None:
    def program(x: Any, y: Any, start: Any) -> None:
        fit_binary(x, y, iterations=2)
        fit_softmax(x, y.astype(jnp.int32), classes=2, iterations=2)
        loss = lambda w, x, y: jnp.square(x @ w - y)  # noqa: E731
        descend(jax.random.key(0), loss, start, x, y, optimizer=sgd(0.1), epochs=2, batch_size=2)

    on_axes_of_their_own(program, jnp.ones((4, 3)), jnp.ones(4), jnp.zeros(3))
