"""Where implementations of the adaptive methods are known to differ, diverge or lose precision."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl.optim.adagrad import adagrad
from fjdl.optim.adam import adam
from fjdl.optim.adamax import adamax, scale_by_adamax
from fjdl.optim.amsgrad import amsgrad, scale_by_amsgrad
from fjdl.optim.nadam import nadam, nadam_scheduled, scale_by_nadam, scale_by_nadam_scheduled
from fjdl.optim.radam import radam, scale_by_radam
from fjdl.optim.rmsprop import centred_rmsprop, rmsprop
from tests.optim.rows.adaptive import ROWS, NAdam
from tests.optim.rows.row import Row
from tests.support import float64

every_method = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())

# A spike, then small ones: what tells the forms of a second moment apart.
GRADIENTS = np.array([[3.0, -1e-5], [0.1, 2e-5], [-0.2, 1e-5], [0.3, -3e-5], [0.1, 1e-5], [0.2, 2e-5], [0.1, 1e-5]])
RATE = 0.1


def path(optimizer: optax.GradientTransformation) -> np.ndarray:
    """The parameters after each of GRADIENTS, in float64 from 0."""

    def step(carry: Any, gradient: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradient, carry[1], carry[0])
        w = optax.apply_updates(carry[0], updates)
        return (w, state), w

    with float64():
        start = jnp.zeros(2)
        return np.asarray(jax.jit(lambda g: jax.lax.scan(step, (start, optimizer.init(start)), g)[1])(GRADIENTS))


def torch_path(factory: Callable[..., Any], *, rates: Callable[[int], float] = lambda step: RATE) -> np.ndarray:
    w = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer, points = factory([w], lr=1.0), []
    for step, gradient in enumerate(GRADIENTS):
        optimizer.param_groups[0]["lr"] = rates(step)
        w.grad = torch.tensor(gradient)
        optimizer.step()
        points.append(w.detach().numpy().copy())
    return np.array(points)


def assert_same(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference in units of one step."""
    return float(np.max(np.abs(a - b))) / RATE


def test_r31_amsgrad_takes_the_largest_raw_second_moment() -> None:
    ours = path(amsgrad(RATE))
    assert_same(ours, torch_path(partial(torch.optim.Adam, amsgrad=True)))
    assert gap(ours, path(optax.amsgrad(RATE))) > 0.1


def test_r31_amsgrad_without_corrections_is_the_papers() -> None:
    paper = path(optax.amsgrad(RATE, eps=1e-30, bias_correction_mu=False, bias_correction_nu=False))
    t = np.arange(1, len(GRADIENTS) + 1)[:, None]
    corrected = np.diff(paper, axis=0, prepend=0) * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    assert_same(path(amsgrad(RATE, eps=1e-30)), np.cumsum(corrected, axis=0))


def test_r32_nadam_with_and_without_the_schedule_of_its_momentum() -> None:
    scheduled, constant = path(nadam_scheduled(RATE)), path(nadam(RATE))
    assert_same(scheduled, torch_path(NAdam))
    assert_same(constant, path(optax.nadam(RATE)))
    assert gap(scheduled, constant) > 0.1


def test_r33_the_eps_of_rmsprop_outside_and_inside_of_the_root() -> None:
    outside, inside = path(rmsprop(RATE)), path(rmsprop(RATE, eps=0.0, eps_root=1e-8))
    assert_same(outside, torch_path(partial(torch.optim.RMSprop, alpha=0.9)))
    assert_same(inside, path(optax.rmsprop(RATE)))
    np.testing.assert_allclose(outside[0], [-RATE * 10**0.5, RATE * 10**0.5], rtol=4e-3)
    np.testing.assert_allclose(inside[0, 1], RATE * 1e-5 / (1e-11 + 1e-8) ** 0.5, rtol=1e-9)


def test_r33_the_centred_form_with_both_kinds_of_eps() -> None:
    theirs = torch_path(partial(torch.optim.RMSprop, alpha=0.9, centered=True))
    assert_same(path(centred_rmsprop(RATE)), theirs)
    assert_same(path(centred_rmsprop(RATE, eps=0.0, eps_root=1e-8)), path(optax.rmsprop(RATE, centered=True)))


def test_r33_the_rate_stays_outside_of_rmsprops_velocity() -> None:
    def rates(step: Any) -> Any:
        return RATE * 0.5**step

    ours = path(rmsprop(rates, momentum=0.9))
    assert_same(ours, torch_path(partial(torch.optim.RMSprop, alpha=0.9, momentum=0.9), rates=rates))
    assert gap(ours, path(optax.rmsprop(rates, momentum=0.9, eps_in_sqrt=False))) > 0.1


def test_r34_adagrad_starts_at_0_with_eps_outside_of_the_root() -> None:
    ours = path(adagrad(RATE))
    assert_same(ours, torch_path(torch.optim.Adagrad))
    assert gap(ours, path(optax.adagrad(RATE))) > 0.1
    started = path(adagrad(RATE, initial=0.1, eps=1e-30))
    assert_same(started, torch_path(partial(torch.optim.Adagrad, initial_accumulator_value=0.1, eps=1e-30)))
    assert_same(started, path(optax.adagrad(RATE, eps=1e-30)))
    np.testing.assert_allclose(path(adagrad(RATE, initial=0.1)), path(optax.adagrad(RATE)), rtol=1e-6, atol=1e-12)


def test_r34_radam_adds_eps_to_the_uncorrected_root() -> None:
    ours = path(radam(RATE))
    assert_same(ours, torch_path(torch.optim.RAdam))
    assert gap(ours, path(optax.radam(RATE))) > 5e-5
    np.testing.assert_allclose(path(radam(RATE, eps=1e-30)), path(optax.radam(RATE, eps=1e-30)), rtol=1e-9)


@every_method
def test_r35_dead_weights_do_not_move_for_ever(row: Row) -> None:
    optimizer = row.ours(RATE)
    updates = float32_updates(optimizer, np.zeros((1000, 2), np.float32))
    np.testing.assert_array_equal(updates, 0)


@every_method
def test_r35_a_weight_that_dies_comes_to_rest(row: Row) -> None:
    gradients = np.zeros((1000, 2), np.float32)
    gradients[:3] = [[1.0, 1e-6], [-2.0, 3e-6], [1.5, 1e-6]]
    updates = float32_updates(row.ours(RATE), gradients)
    assert np.all(np.isfinite(updates))
    np.testing.assert_allclose(updates[-1], 0, atol=1e-6)


def float32_updates(optimizer: optax.GradientTransformation, gradients: np.ndarray) -> np.ndarray:
    """The updates for each row of gradients, of parameters that stay 0 and so do not decay."""
    params = jnp.zeros_like(gradients[0])

    def step(state: Any, gradient: Any) -> tuple[Any, Any]:
        return optimizer.update(gradient, state, params)[::-1]

    state = optimizer.init(params)
    return np.asarray(jax.jit(lambda s, g: jax.lax.scan(step, s, g)[1])(state, gradients))


@every_method
def test_r40_state_of_bfloat16_parameters_follows_float32(row: Row) -> None:
    gradients = np.asarray(np.linspace(0.5, 1.5, 400)[:, None] * [1.0, -1e-2], jnp.bfloat16)
    actual = float32_updates(row.ours(RATE), gradients)
    expected = float32_updates(row.ours(RATE), gradients.astype(np.float32))
    assert actual.dtype == jnp.bfloat16
    np.testing.assert_allclose(actual.astype(np.float32), expected, rtol=2**-8)


def test_r40_relative_updates_of_a_ten_thousandth_add_up() -> None:
    rate, w = 1e-4, jnp.ones(())
    for optimizer in (adam(rate), adamax(rate), amsgrad(rate)):
        updates = float32_updates(optimizer, np.ones((100,), jnp.bfloat16))
        np.testing.assert_allclose(w + np.sum(updates.astype(np.float32)), 0.99, rtol=1e-4)


@pytest.mark.parametrize(
    "factory", [scale_by_adamax, scale_by_amsgrad, scale_by_nadam, scale_by_nadam_scheduled, scale_by_radam]
)
def test_r40_a_coarse_mean_beside_a_float32_second_moment(factory: Callable[..., Any]) -> None:
    gradients = np.asarray(np.linspace(0.5, 1.5, 20)[:, None] * [1.0, -1e-2], np.float32)
    coarse, fine = factory(mean_dtype=jnp.bfloat16), factory()
    state = coarse.update(gradients[0], coarse.init(gradients[0]))[1]
    assert state.mean.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in state if leaf is not state.mean} <= {jnp.dtype(jnp.float32), jnp.dtype(jnp.int32)}
    np.testing.assert_allclose(float32_updates(coarse, gradients), float32_updates(fine, gradients), rtol=2**-6)


@every_method
def test_r41_float16_gradients_below_the_root_of_its_smallest_number_step_as_in_float32(row: Row) -> None:
    gradients = np.asarray([[1e-5, 0.0]] * 8, np.float16)
    actual = float32_updates(row.ours(RATE), gradients)
    expected = float32_updates(row.ours(RATE), gradients.astype(np.float32))
    assert np.all(np.isfinite(expected))
    np.testing.assert_allclose(actual, expected.astype(np.float16), rtol=2e-3)


@every_method
def test_r42_gradient_and_parameter_may_differ_in_dtype(row: Row) -> None:
    optimizer = row.ours(RATE)
    for gradient_dtype, parameter_dtype in ((jnp.bfloat16, jnp.float32), (jnp.float32, jnp.bfloat16)):
        params = jnp.ones(2, parameter_dtype)
        state = optimizer.init(params)
        with jax.numpy_dtype_promotion("strict"):
            updates, after = jax.eval_shape(optimizer.update, jnp.ones(2, gradient_dtype), state, params)
        assert updates.dtype == gradient_dtype
        assert [leaf.dtype for leaf in jax.tree.leaves(after)] == [leaf.dtype for leaf in jax.tree.leaves(state)]


@every_method
def test_r42_nothing_of_a_trace_leaks(row: Row) -> None:
    optimizer = row.ours(RATE)
    params = jnp.ones(2)
    with jax.checking_leaks():
        jax.make_jaxpr(optimizer.update)(params, optimizer.init(params), params)


FIRST = {
    "adagrad": [-1.0, 1.0],
    "rmsprop": [-(10**0.5), 10**0.5],
    "centred_rmsprop": [-1 / 0.3, 1 / 0.3],
    "adadelta": [-1e-3 * 10**0.5, 1e-3 * 10**0.5],
    "adamax": [-1.0, 1.0],
    "nadam": [-(0.1 / 0.1 + 0.9 * 0.1 / 0.19), 0.1 / 0.1 + 0.9 * 0.1 / 0.19],
    "amsgrad": [-1.0, 1.0],
    "radam": [-2.0, 3.0],
}


@pytest.mark.parametrize("name", FIRST)
def test_r42_the_first_step_is_right_for_both_signs(name: str) -> None:
    optimizer, gradient = ROWS[name].ours(1.0), jnp.asarray([2.0, -3.0])
    updates, _ = optimizer.update(gradient, optimizer.init(gradient))
    np.testing.assert_allclose(updates, FIRST[name], rtol=2e-6)
