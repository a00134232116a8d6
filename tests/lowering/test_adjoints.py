"""Linear functions whose transpose has a form of its own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from fjdl.lowering.adjoints import linear

CALLS: list[tuple[bool, ...]] = []


def scaled(moved: Any, known: Any, *, power: int) -> Any:
    """Two results of two linear arguments."""
    a, b = moved
    return known**power * a + b, jnp.sin(known) * b


def transposed(cotangents: Any, known: Any, *, power: int) -> Any:
    """The same transposed, where only the first result counts."""
    first, second = cotangents
    CALLS.append((first is None, second is None))
    return None if second is not None else (known**power * first, first)


operation = linear("fjdl_test_scaled", scaled, like=lambda known, *, power: (known, known), back=transposed)


def product(a: Any, b: Any, known: Any) -> Any:
    """The operation as a function of all."""
    return operation((a, b), known, power=3)


def test_all_derivatives_in_both_modes_agree_with_differences(rng: np.random.Generator) -> None:
    arrays = [jnp.asarray(rng.uniform(0.5, 1.5, 3)) for _ in range(3)]
    with jax.enable_x64(True):
        wide = [jnp.asarray(np.asarray(a, np.float64)) for a in arrays]
        check_grads(product, wide, order=2, modes=("fwd", "rev"))
        check_grads(lambda *args: product(*args)[0], wide, order=2, modes=("fwd", "rev"))


def test_the_stated_form_runs_where_it_applies_and_equals_that_of_jax(rng: np.random.Generator) -> None:
    a, b, known = (jnp.asarray(rng.standard_normal((2, 3)), jnp.float32) for _ in range(3))
    CALLS.clear()
    got = jax.jit(jax.grad(lambda a, b: jnp.sum(product(a, b, known)[0]), (0, 1)))(a, b)
    assert CALLS == [(False, True)]
    np.testing.assert_array_equal(got[0], known**3)
    np.testing.assert_array_equal(got[1], jnp.ones_like(b))
    both = jax.grad(lambda a, b: sum(jnp.sum(out) for out in product(a, b, known)), (0, 1))(a, b)
    np.testing.assert_allclose(both[1], 1 + np.sin(known), rtol=1e-6)


def test_mapped_over_an_axis_it_is_each_by_itself(rng: np.random.Generator) -> None:
    a, b, known = (jnp.asarray(rng.standard_normal((2, 3)), jnp.float32) for _ in range(3))
    slope = jax.grad(lambda a, b, known: jnp.sum(product(a, b, known)[0]), (0, 1, 2))
    mapped = jax.vmap(slope)(a, b, known)
    for row in range(2):
        for got, want in zip(mapped, slope(a[row], b[row], known[row]), strict=True):
            np.testing.assert_allclose(got[row], want, rtol=1e-6)
