from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl import optim
from fjdl.optim.plateau import reduce_on_plateau
from tests.support import float64


def scales(plateau: Any, values: Any) -> np.ndarray:
    """The factor of every update while `values` are fed."""
    one = jnp.ones(())

    def step(state: Any, value: Any) -> tuple[Any, Any]:
        updates, state = plateau.update(one, state, one, value=value)
        return state, updates

    return np.asarray(jax.jit(lambda v: jax.lax.scan(step, plateau.init(one), v)[1])(jnp.asarray(values)))


def torch_scales(values: Any, **options: Any) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, **options)
    rates = []
    for value in values:
        scheduler.step(float(value))
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("patience", "cooldown", "min_scale"), [(0, 0, 0.0), (2, 0, 0.2), (1, 3, 0.0)])
def test_the_scale_is_the_one_of_torch(
    maximize: bool, relative: bool, patience: int, cooldown: int, min_scale: float, rng: np.random.Generator
) -> None:
    values = np.abs(2 + 0.97 ** np.arange(60) + 0.05 * rng.standard_normal(60))
    values[[7, 8, 20]] = [np.nan, np.inf, values[19]]
    values = np.where(np.isinf(values) & maximize, -np.inf, 5 - values if maximize else values)
    with float64():
        plateau = reduce_on_plateau(
            factor=0.5,
            patience=patience,
            threshold=0.01,
            relative=relative,
            maximize=maximize,
            cooldown=cooldown,
            min_scale=min_scale,
        )
        actual = scales(plateau, values)
    expected = torch_scales(
        values,
        factor=0.5,
        patience=patience,
        threshold=0.01,
        threshold_mode="rel" if relative else "abs",
        mode="max" if maximize else "min",
        cooldown=cooldown,
        min_lr=min_scale,
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    assert len(set(actual)) > 1


def test_optax_falls_one_value_earlier(rng: np.random.Generator) -> None:
    values = np.float32(1 + rng.uniform(size=40))
    actual = scales(reduce_on_plateau(patience=2, factor=0.5, cooldown=2), values)
    theirs = optax.contrib.reduce_on_plateau(patience=3, factor=0.5, cooldown=2)
    np.testing.assert_allclose(actual, scales(theirs, values))
    assert np.any(actual != scales(optax.contrib.reduce_on_plateau(patience=2, factor=0.5, cooldown=2), values))


def test_a_slightly_worse_negative_value_is_no_improvement_as_it_is_for_torch() -> None:
    values = [-1.0, -0.99, -0.98, -0.97]
    np.testing.assert_allclose(torch_scales(values, patience=0, threshold=0.05), 1.0)
    actual = scales(reduce_on_plateau(patience=0, threshold=0.05), np.float32(values))
    np.testing.assert_allclose(actual, [1, 0.1, 0.01, 0.001], rtol=1e-6)


def test_means_of_several_values_decide() -> None:
    values = np.float32([2, 4, 3, 3, 1, 9])  # means 3, 3, 5: no improvement from the second pair on
    actual = scales(reduce_on_plateau(patience=0, every=2), values)
    np.testing.assert_allclose(actual, [1, 1, 1, 0.1, 0.1, 0.01], rtol=1e-6)


def test_in_a_chain_it_slows_the_update_of_this_value() -> None:
    optimizer = optax.chain(optim.sgd(1.0), reduce_on_plateau(patience=0, factor=0.5))
    gradient = {"w": jnp.ones(2, jnp.bfloat16)}
    state = optimizer.init(gradient)
    for value in (1.0, 1.0):
        updates, state = optimizer.update(gradient, state, gradient, value=value)
    np.testing.assert_array_equal(np.asarray(updates["w"], np.float32), -0.5)
    assert updates["w"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 1.0}, r"factor must lie in \(0, 1\), got 1.0"),
        ({"threshold": -1.0}, "threshold must not be negative, got -1.0"),
        ({"min_scale": 2.0}, r"min_scale must lie in \[0, 1\], got 2.0"),
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"cooldown": -1}, "cooldown must be at least 0, got -1"),
        ({"every": 0}, "every must be at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reduce_on_plateau(**options)


def test_a_missing_value_is_named() -> None:
    plateau = reduce_on_plateau()
    with pytest.raises(ValueError, match="value must be given to reduce_on_plateau"):
        plateau.update(jnp.ones(1), plateau.init(jnp.ones(1)))
