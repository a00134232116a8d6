from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import optim
from tests.support import float64


def authors(gradients: list[np.ndarray], b1: float, b2: float, b3: float, eps: float) -> list[np.ndarray]:
    """The directions by the formulas of the paper, with b for its 1 − β."""
    m = v = n = 0.0
    last, results = gradients[0], []
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * (g - last)
        n = b3 * n + (1 - b3) * (g + b2 * (g - last)) ** 2
        last = g
        ahead = m / (1 - b1**t) + b2 * v / (1 - b2**t)
        results.append(ahead / (np.sqrt(n / (1 - b3**t)) + eps))
    return results


def test_the_defaults_are_those_of_the_paper(rng: np.random.Generator) -> None:
    gradients = [rng.standard_normal(4) for _ in range(6)]
    with float64():
        scaled = optim.scale_by_adan()
        state = scaled.init(jnp.zeros(4))
        for g, expected in zip(gradients, authors(gradients, 0.98, 0.92, 0.99, 1e-8), strict=True):
            direction, state = scaled.update(jnp.asarray(g), state)
            np.testing.assert_allclose(direction, expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("factory", "options", "rule"),
    [
        (optim.scale_by_adan, {"b3": 1.0}, r"b3 must lie in \[0, 1\), got 1.0"),
        (optim.scale_by_adan, {"eps": 0.0}, "eps must be positive, got 0.0"),
        (optim.scale_by_adabelief, {"eps_root": 0.0}, "eps_root must be positive, got 0.0"),
        (optim.scale_by_yogi, {"initial": -1.0}, "initial must not be negative, got -1.0"),
        (optim.rprop, {"learning_rate": 0.1, "shrink": 1.0}, r"shrink must lie in \(0, 1\), got 1.0"),
        (optim.rprop, {"learning_rate": 0.1, "growth": 1.0}, r"growth must lie in \(1, inf\), got 1.0"),
        (optim.rprop, {"learning_rate": 0.1, "smallest": 0.0}, "smallest must be positive and finite, got 0.0"),
    ],
)
def test_impossible_options_of_newer_methods_are_refused(factory: Any, options: dict[str, float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        factory(**options)


def test_steps_of_rprop_stay_within_their_limits_and_rest_after_a_turn() -> None:
    optimizer = optim.rprop(0.1, smallest=0.08, largest=0.13)
    state, moves = optimizer.init(jnp.zeros(1)), []
    for sign in (1.0, 1.0, 1.0, -1.0, -1.0, 0.0, 1.0):
        updates, state = optimizer.update(jnp.asarray([sign]), state)
        moves.append(float(updates[0]))
    np.testing.assert_allclose(moves, [-0.1, -0.12, -0.13, 0.0, 0.08, 0.0, -0.08], rtol=1e-6, atol=1e-9)


def test_yogi_forgets_a_large_gradient_slower_than_adam() -> None:
    yogi, adam = optim.scale_by_yogi(b2=0.9), optim.scale_by_adam(b2=0.9)
    states = [yogi.init(jnp.zeros(())), adam.init(jnp.zeros(()))]
    for g in (10.0, *[0.1] * 20):
        states = [part.update(jnp.asarray(g), state)[1] for part, state in zip((yogi, adam), states, strict=True)]
    np.testing.assert_allclose(states[0].square, 10 - 20 * 0.001, rtol=1e-4)
    assert states[1].square < 2


def test_adabelief_makes_long_steps_where_gradients_are_as_foretold() -> None:
    belief, state = optim.scale_by_adabelief(), optim.scale_by_adabelief().init(jnp.zeros(()))
    for _ in range(300):
        direction, state = belief.update(jnp.asarray(0.5), state)
    assert direction > 3  # Adam's would be 1
