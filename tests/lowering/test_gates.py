from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from fjdl.lowering import gates
from fjdl.platforms import by_platform
from tests.support import assert_trees_close

KINDS = (False, True)


@pytest.mark.parametrize("form", [gates._together, gates._apart, gates.activated], ids=["cpu", "elsewhere", "chosen"])
def test_each_part_is_a_sigmoid_or_a_tanh_with_its_derivative(rng: np.random.Generator, form: Any) -> None:
    total = np.concatenate([rng.standard_normal((3, 5)), [[-np.inf, np.inf, 0, np.nan, -200]]]).astype(np.float32)
    both = np.concatenate([total, total], axis=1)
    call = partial(form, kinds=KINDS) if form is not gates.activated else (lambda x: gates.activated(x, KINDS))
    (sigmoid, tanh), (slope, other) = jax.jvp(call, (jnp.asarray(both),), (jnp.ones_like(both),))
    exact = scipy.special.expit(total.astype(np.float64))
    np.testing.assert_allclose(sigmoid, exact, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(tanh, np.tanh(total), rtol=2e-6, atol=1e-7)
    finite = np.isfinite(total)
    np.testing.assert_allclose(np.asarray(slope)[finite], (exact * (1 - exact))[finite], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.asarray(other)[finite], (1 - np.tanh(total) ** 2)[finite], rtol=1e-4, atol=1e-6)


def test_a_cpu_computes_the_gates_of_a_step_in_a_function_that_is_not_inlined() -> None:
    def step(state: jax.Array, x: jax.Array) -> tuple[jax.Array, None]:
        sigmoid, tanh = gates.activated(x + jnp.tile(state, 2), KINDS)
        return sigmoid * tanh, None

    def last(x: jax.Array) -> jax.Array:
        return jax.lax.scan(step, x[0, :, :2], x)[0]

    program = jax.jit(last).lower(jnp.zeros((3, 2, 4))).compile().as_text().split("\n")
    assert sum(" call(" in line and 'inlineable="false"' in line for line in program) == (
        gates.SEVERAL is gates.not_inlined
    )


def test_what_is_written_first_is_the_same_and_has_its_gradient() -> None:
    x = jnp.arange(6.0).reshape(2, 3)
    value, pullback = jax.vjp(lambda x: gates.written(x.T), x)
    assert_trees_close((value, pullback(value)), (x.T, (x,)), rtol=0, atol=0)


def test_a_form_for_cuda_is_not_taken_elsewhere() -> None:
    assert by_platform(jnp.float32(3), cuda=lambda x: x + 1, elsewhere=lambda x: x + 2) == 5
