from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.optim.backtracking import scale_by_backtracking
from tests.support import float64


def parabola(w: Any) -> Any:
    return 10 * jnp.sum(jnp.square(w))


def test_halves_the_step_until_armijo_holds() -> None:
    search, w = scale_by_backtracking(), jnp.asarray([1.0])
    updates, state = search.update(-20 * w, search.init(w), w, value_fn=parabola)
    # f(1 − 20 t) ≤ 10 − 1e-4 · 400 t first holds at t = 1/16, where f = 0.625
    np.testing.assert_allclose(updates, [-20 / 16], rtol=1e-6)
    np.testing.assert_allclose([state.step_size, state.value], [1 / 16, 0.625], rtol=1e-6)


def test_equals_optax_step_by_step() -> None:
    def loss(w: Any) -> Any:
        return jnp.square(1 - w[0]) + 100 * jnp.square(w[1] - jnp.square(w[0]))

    with float64():
        ours = optax.chain(optax.scale(-1.0), scale_by_backtracking(shrink=0.8, growth=1.5, max_evaluations=60))
        theirs = optax.chain(
            optax.scale(-1.0), optax.scale_by_backtracking_linesearch(max_backtracking_steps=60, max_learning_rate=1.0)
        )
        w = jnp.asarray([-1.2, 1.0])
        states = [ours.init(w), theirs.init(w)]
        steps = [
            jax.jit(lambda g, s, w, o=o: o.update(g, s, w, value=loss(w), grad=g, value_fn=loss))
            for o in (ours, theirs)
        ]
        for _ in range(10):
            gradient = jax.grad(loss)(w)
            (a, states[0]), (b, states[1]) = (step(gradient, s, w) for step, s in zip(steps, states, strict=True))
            np.testing.assert_allclose(a, b, rtol=1e-12)
            w = optax.apply_updates(w, a)


@pytest.mark.parametrize(("start", "loss"), [(0.0, parabola), (1.0, lambda w: jnp.sum(w))])
def test_stays_where_no_step_goes_down(start: float, loss: Any) -> None:
    search, w = scale_by_backtracking(max_evaluations=5), jnp.asarray([start])
    updates, state = search.update(jnp.ones(1), search.init(w), w, value_fn=loss)
    np.testing.assert_array_equal(updates, [0])
    np.testing.assert_array_equal([state.step_size, state.value], [0, loss(w)])


def test_a_step_out_of_the_domain_is_shortened() -> None:
    search, w = scale_by_backtracking(), jnp.asarray([1.0])
    updates, _ = search.update(jnp.asarray([-3.0]), search.init(w), w, value_fn=lambda w: jnp.sum(w - jnp.log(w) / 2))
    np.testing.assert_allclose(updates, [-0.75], rtol=1e-6)  # 1 − 3 t is positive from t = 1/4


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"sufficient": 1.0}, r"sufficient must lie in \[0, 1\), got 1.0"),
        ({"shrink": 1.0}, r"shrink must lie in \[0, 1\), got 1.0"),
        ({"growth": 0.0}, "growth must be positive, got 0.0"),
        ({"max_evaluations": 0}, "max_evaluations must be at least 1, got 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        scale_by_backtracking(**options)
