from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.optim.nadam import nadam, nadam_scheduled, scale_by_nadam_scheduled


def test_the_product_is_that_of_the_momenta() -> None:
    optimizer = scale_by_nadam_scheduled(b1=0.8, momentum_decay=1.0)
    state = optimizer.init(jnp.ones(()))
    momenta = 0.8 * (1 - 0.5 * 0.96 ** np.arange(1, 5))
    for t in range(1, 5):
        _, state = optimizer.update(jnp.ones(()), state)
        np.testing.assert_allclose(state.product, np.prod(momenta[:t]), rtol=1e-6)


def test_without_momentum_both_are_the_gradient_over_its_root_mean_square() -> None:
    gradient = jnp.asarray([2.0, -3.0])
    for optimizer in (nadam(1.0, b1=0.0), nadam_scheduled(1.0, b1=0.0)):
        np.testing.assert_allclose(optimizer.update(gradient, optimizer.init(gradient))[0], [-1, 1], rtol=1e-6)


def test_steady_gradients_step_by_1_however_long() -> None:
    optimizer = scale_by_nadam_scheduled()
    state = optimizer.init(jnp.ones(()))._replace(
        step=jnp.asarray(2**31 - 2, jnp.int32), product=jnp.zeros(()), mean=jnp.ones(()), square=jnp.ones(())
    )
    for _ in range(3):
        updates, state = optimizer.update(jnp.ones(()), state)
        np.testing.assert_allclose(updates, 1.0, rtol=1e-6)
    assert int(state.step) == 2**31 - 1


@pytest.mark.parametrize("factory", [nadam, nadam_scheduled])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"b1": 1.0}, r"b1 must lie in \[0, 1\), got 1.0"),
        ({"b2": -0.1}, r"b2 must lie in \[0, 1\), got -0.1"),
        ({"eps": 0.0}, "eps must be positive, got 0.0"),
    ],
)
def test_options_outside_of_their_range_are_refused(factory: Any, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        factory(0.1, **options)


def test_a_negative_decay_of_the_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match=r"momentum_decay must not be negative, got -0\.1"):
        nadam_scheduled(0.1, momentum_decay=-0.1)
