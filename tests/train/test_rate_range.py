from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.data.batches import take
from fjdl.data.source import to_arrays
from fjdl.models import LogisticRegression
from fjdl.optim import momentum, sgd
from fjdl.train.rate_range import RateRange, learning_rate_range, suggested_rates
from fjdl.train.step import make_train_step
from tests.train.test_program import order
from tests.train.toy import devices, first_state, mesh, quick, recipe, splits

MADE = recipe(model=quick(LogisticRegression(10)))


@pytest.mark.by_day_on_pin(1)
def test_every_step_is_the_recipes_own_at_its_rate() -> None:
    result = learning_rate_range(MADE, sgd, low=1e-3, high=10.0, steps=6, devices=devices())
    np.testing.assert_allclose(result.rates, np.geomspace(1e-3, 10.0, 6), rtol=1e-5)
    arrays, state, losses = jax.device_put(to_arrays(splits().train)), None, []
    for number, (epoch, row) in enumerate([(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]):
        indices, mask = (part[row] for part in order(epoch))
        batch = {**take(arrays, indices), "example_mask": mask}
        made = recipe(model=MADE.model, optimizer=lambda _, r=result.rates[number]: sgd(float(r)))
        state = first_state(made, batch) if state is None else state
        state, report = jax.jit(make_train_step(made, mesh(), steps=1))(state, batch)
        losses.append(report.loss / report.examples)
    np.testing.assert_allclose(result.losses, losses, rtol=1e-5)


def test_the_suggestions_of_a_real_range_lie_where_the_loss_falls() -> None:
    factory = partial(momentum, momentum=0.9)
    result = learning_rate_range(MADE, factory, low=1e-5, high=1e4, steps=120, devices=devices())
    assert 1e-3 < result.steepest < 10
    assert 1e-3 < result.largest < 10
    lowest = int(np.argmin(result.smoothed[: int(result.counted)]))
    np.testing.assert_allclose(result.largest, result.rates[lowest] / 10, rtol=1e-6)
    assert result.smoothed[lowest] < 0.7 * result.smoothed[0]


def test_a_loss_that_is_not_finite_ends_the_count() -> None:
    def spoil(key: Any, batch: Any) -> Any:
        return {**batch, "image": batch["image"] + jnp.where(batch["index"] == 5, jnp.nan, 0.0)[:, None, None, None]}

    made = recipe(model=MADE.model, augment=spoil)
    row = int(np.argwhere(np.asarray(order(0)[0]).ravel() == 5)[0, 0]) // 32
    result = learning_rate_range(made, sgd, low=1e-3, high=1.0, steps=6, devices=devices())
    assert int(result.counted) == row


RATES = np.geomspace(1e-4, 1.0, 41, dtype=np.float32)  # ten for each power of ten


def suggested(losses: Any, **options: Any) -> RateRange:
    return jax.jit(partial(suggested_rates, **options))(jnp.asarray(RATES), jnp.asarray(losses, jnp.float32))


def test_suggestions_of_a_curve_that_is_known() -> None:
    place = np.arange(41)
    losses = np.where(place < 30, 2 - 1 / (1 + np.exp(-(place - 20.0))), 1 + 0.2 * (place - 30))
    result = suggested(losses, smoothing=0.0)
    np.testing.assert_allclose(result.smoothed, losses, rtol=1e-6)
    np.testing.assert_allclose(result.steepest, 1e-2, rtol=1e-4)  # step 20
    np.testing.assert_allclose(result.largest, RATES[30] / 10, rtol=1e-4)
    assert int(result.counted) == 41


def test_the_average_is_corrected_for_its_start() -> None:
    losses = np.random.default_rng(0).uniform(1, 2, 41)
    result, mean = suggested(losses, smoothing=0.8), 0.0
    for step, loss in enumerate(losses):
        mean = 0.8 * mean + 0.2 * loss
        np.testing.assert_allclose(result.smoothed[step], mean / (1 - 0.8 ** (step + 1)), rtol=1e-5)


@pytest.mark.parametrize("end", [9.0, np.inf, np.nan])
def test_what_comes_after_divergence_does_not_count(end: float) -> None:
    losses = np.linspace(2, 1, 41)
    losses[30], losses[31:] = end, 0.0  # lower than everything before, and not to be believed
    result = suggested(losses, smoothing=0.0)
    assert int(result.counted) == 30
    np.testing.assert_allclose(result.largest, RATES[29] / 10, rtol=1e-5)
    assert result.steepest <= RATES[29]


@pytest.mark.parametrize("losses", [np.linspace(1, 2, 41), np.full(41, np.nan), np.full(41, 1.0)])
def test_nothing_is_suggested_where_the_loss_never_falls(losses: np.ndarray) -> None:
    result = suggested(losses)
    assert np.isnan(result.steepest)
    assert np.isnan(result.largest)


@pytest.mark.parametrize(("low", "high", "steps"), [(0.0, 1.0, 5), (1.0, 1.0, 5), (1.0, np.inf, 5), (0.1, 1.0, 1)])
def test_an_impossible_range_is_refused(low: float, high: float, steps: int) -> None:
    with pytest.raises(ValueError, match="a range needs 0 < low < high and at least 2 steps"):
        learning_rate_range(MADE, sgd, low=low, high=high, steps=steps)


@pytest.mark.parametrize("options", [{"smoothing": 1.0}, {"divergence": 1.0}])
def test_impossible_smoothing_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"smoothing must lie in \[0, 1\) and divergence exceed 1"):
        suggested(np.ones(41), **options)
