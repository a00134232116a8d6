from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from fjdl.optim.strong_wolfe import scale_by_strong_wolfe
from tests.support import float64

LINES = {
    "parabola": lambda t: jnp.square(t - 1.7),
    "far-away": lambda t: jnp.square(t / 50 - 1),
    "near": lambda t: jnp.square(1000 * t - 1),
    "quartic": lambda t: (t - 3) ** 4,
    "wavy": lambda t: jnp.cos(3 * t) - 0.5 * t + 0.02 * jnp.square(t),
    "more-thuente": lambda t: -t / (t**2 + 2),  # their first function, 1994
    "domain": lambda t: -jnp.log(1 - 2 * t) - 10 * t,  # not defined at the first trial
    "overflow": lambda t: jnp.exp(800 * t) - 900 * t,
}  # fmt: skip


@pytest.mark.parametrize("curvature", [0.9, 0.1])
@pytest.mark.parametrize("name", LINES)
def test_the_point_meets_both_conditions(name: str, curvature: float) -> None:
    def loss(w: Any) -> Any:
        return LINES[name](w["x"])

    search = scale_by_strong_wolfe(curvature=curvature)
    with float64():
        w, direction = {"x": jnp.zeros((), jnp.float64)}, {"x": jnp.ones((), jnp.float64)}
        updates, state = jax.jit(lambda: search.update(direction, search.init(w), w, value_fn=loss))()
        line = jax.jit(jax.value_and_grad(LINES[name]))
        (value, slope), (reached, ended) = line(jnp.zeros((), jnp.float64)), line(updates["x"])
    (size, value, slope, reached, ended) = map(float, (updates["x"], value, slope, reached, ended))
    assert size == float(state.step_size) > 0
    np.testing.assert_allclose([state.value, state.grad["x"]], [reached, ended], rtol=1e-12, atol=1e-12)
    assert reached <= value + 1e-4 * size * slope
    assert abs(ended) <= curvature * abs(slope)


def test_scipy_accepts_the_same_kind_of_point() -> None:
    def loss(w: Any) -> Any:
        return jnp.square(1 - w[0]) + 100 * jnp.square(w[1] - jnp.square(w[0]))

    search = scale_by_strong_wolfe()
    with float64():
        w = jnp.asarray([-1.2, 1.0])
        direction = -jax.grad(loss)(w) / 100
        updates, state = search.update(direction, search.init(w), w, value_fn=loss)
        size = scipy.optimize.line_search(loss, jax.grad(loss), w, direction)[0]
        ours, theirs = loss(w + updates), loss(w + size * direction)
    assert float(ours) < 1.5 * float(theirs)
    np.testing.assert_allclose(state.value, ours)


@pytest.mark.parametrize("direction", [1.0, 0.0])
def test_stays_where_the_direction_does_not_descend(direction: float) -> None:
    search, w = scale_by_strong_wolfe(), jnp.asarray(2.0)
    updates, state = search.update(jnp.asarray(direction), search.init(w), w, value_fn=jnp.square)
    np.testing.assert_array_equal([updates, state.step_size, state.value, state.grad], [0, 0, 4, 4])


def test_takes_the_lowest_point_known_when_its_evaluations_are_spent() -> None:
    search, w = scale_by_strong_wolfe(max_evaluations=3), jnp.asarray(0.0)
    updates, state = search.update(jnp.asarray(1.0), search.init(w), w, value_fn=lambda w: -w)  # falls for ever
    np.testing.assert_array_equal([updates, state.value], [4, -4])
    updates, _ = search.update(jnp.asarray(1.0), search.init(w), w, value_fn=lambda w: jnp.square(1e4 * w - 1e-3))
    np.testing.assert_array_equal(updates, 0)


def test_is_batched_by_vmap() -> None:
    search = scale_by_strong_wolfe()

    def size(minimum: Any) -> Any:
        w = jnp.asarray(0.0)
        return search.update(jnp.sign(minimum), search.init(w), w, value_fn=lambda w: jnp.square(w - minimum))[0]

    minima = jnp.asarray([0.01, -2.0, 300.0])
    found = jax.jit(jax.vmap(size))(minima)
    assert np.all(np.abs(found - minima) <= 0.9 * np.abs(minima))
    assert np.all(found != 0)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"sufficient": -0.1}, r"sufficient must lie in \[0, 1\), got -0.1"),
        ({"curvature": 1.0}, r"curvature must lie in \[0, 1\), got 1.0"),
        ({"sufficient": 0.5, "curvature": 0.4}, "sufficient must be smaller than curvature, got 0.5 and 0.4"),
        ({"max_evaluations": 0}, "max_evaluations must be at least 1, got 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        scale_by_strong_wolfe(**options)
