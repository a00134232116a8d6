from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl import tree
from fjdl.optim.adafactor import (
    adafactor,
    clip_by_leaf_rms,
    relative_step,
    scale_by_factored_rms,
    scale_by_parameter_rms,
)
from fjdl.optim.decay import KERNELS
from tests.support import assert_trees_close, float64


def test_the_state_of_a_large_matrix_is_a_row_and_a_column() -> None:
    params = {"dense": jnp.zeros((300, 128)), "thin": jnp.zeros((300, 127)), "bias": jnp.zeros(300)}
    state = scale_by_factored_rms().init(params)
    assert tree.size_in_bytes([moment["dense"] for moment in state[1:]]) == 4 * (300 + 128 + 1)
    assert tree.size_in_bytes(state.square["thin"]) == 4 * 300 * 127
    assert tree.size_in_bytes(state.square["bias"]) == 4 * 300
    assert tree.size_in_bytes(adafactor(0.1).init(params["dense"])) == 4 * (300 + 128 + 1) + 4 + 4  # two counters


def test_a_convolution_kernel_is_factored_along_its_channels() -> None:
    state = scale_by_factored_rms(min_size=5).init(jnp.zeros((2, 3, 5, 7)))
    assert (state.square.shape, state.rows.shape, state.columns.shape) == ((1,), (2, 3, 5), (2, 3, 7))


def test_a_matrix_of_rank_one_is_remembered_exactly() -> None:
    gradient = jnp.outer(jnp.asarray([1.0, -2.0]), jnp.asarray([3.0, 1e-3, 0.5]))
    transformation = scale_by_factored_rms(min_size=2)
    update, state = transformation.update(gradient, transformation.init(gradient))
    np.testing.assert_allclose(update, np.sign(gradient), rtol=1e-6)
    np.testing.assert_allclose(state.rows, np.mean(np.square(gradient), axis=1), rtol=1e-6)
    np.testing.assert_allclose(state.columns, np.mean(np.square(gradient), axis=0), rtol=1e-6)


def test_gradients_that_are_zero_in_whole_rows_or_everywhere_give_zeros() -> None:
    transformation = scale_by_factored_rms(min_size=2)
    state = transformation.init(jnp.zeros((2, 3)))
    for gradient in (jnp.zeros((2, 3)), jnp.asarray([[0.0, 0.0, 0.0], [1.0, 0.0, 2.0]]), jnp.zeros((2, 3))):
        update, state = transformation.update(gradient, state)
        assert np.isfinite(update).all()
        np.testing.assert_array_equal(np.asarray(update)[np.asarray(gradient) == 0], 0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_rms": None, "min_scale": None},
        {"max_rms": 0.5, "decay_exponent": 0.6, "min_scale": 1e-3},
    ],
)
def test_it_is_optax_s_for_tensors_of_every_kind(options: dict[str, Any], rng: np.random.Generator) -> None:
    shapes = {"conv": (2, 3, 5, 4), "tall": (6, 4), "square": (4, 4), "thin": (9, 3), "bias": (5,), "gain": ()}
    params = {name: jnp.asarray(rng.standard_normal(shape), jnp.float32) for name, shape in shapes.items()}
    ours = adafactor(0.1, min_size=4, **options)
    theirs = optax.adafactor(
        0.1,
        min_dim_size_to_factor=4,
        decay_rate=options.get("decay_exponent", 0.8),
        clipping_threshold=options.get("max_rms", 1.0),
        multiply_by_parameter_scale=options.get("min_scale", 1e-3) is not None,
    )
    states = [ours.init(params), theirs.init(params)]
    update, reference = jax.jit(ours.update), jax.jit(theirs.update)
    for scale in (1.0, 1e-3, -30.0):
        gradient = jax.tree.map(lambda p: np.float32(scale) * np.sin(9 * np.asarray(p)), params)  # noqa: B023
        actual, states[0] = update(gradient, states[0], params)
        expected, states[1] = reference(gradient, states[1], params)
        assert_trees_close(actual, expected, rtol=1e-5, atol=1e-7)


def test_weight_decay_times_the_learning_rate_is_pytorch_s_and_not_optax_s() -> None:
    start = np.asarray([[1.0, -2.0], [0.5, 3.0], [2.0, 0.1]])
    gradient = np.asarray([[0.3, 1.0], [-2.0, 0.0], [5.0, 0.7]])
    with float64():
        params = {"kernel": jnp.asarray(start), "bias": jnp.asarray(start)}
        optimizer = adafactor(0.1, min_size=1, weight_decay=0.2, decay_rules=KERNELS)
        update, _ = jax.jit(optimizer.update)({"kernel": gradient, "bias": gradient}, optimizer.init(params), params)
        plain = optax.adafactor(0.1, min_dim_size_to_factor=1, weight_decay_rate=0.2)
        unlike, _ = jax.jit(plain.update)(gradient, plain.init(params["kernel"]), params["kernel"])
    for name, decay in (("kernel", 0.2), ("bias", 0.0)):
        tensor = torch.nn.Parameter(torch.tensor(start))
        tensor.grad = torch.tensor(gradient)
        torch.optim.Adafactor([tensor], lr=0.1, eps=(1e-30, 1e-3), weight_decay=decay).step()
        np.testing.assert_allclose(start + np.asarray(update[name]), tensor.detach(), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(unlike) - np.asarray(update["kernel"]), -(0.2 - 0.1 * 0.2) * start, rtol=1e-5)


def test_the_relative_step_is_the_paper_s() -> None:
    schedule = relative_step()
    np.testing.assert_allclose([schedule(step) for step in (0, 9_999, 39_999)], [1e-2, 1e-2, 5e-3], rtol=1e-6)
    np.testing.assert_allclose(relative_step(largest=1.0)(3), 0.5, rtol=1e-6)
    np.testing.assert_allclose(schedule(2**31 - 1), 2.0**-15.5, rtol=1e-6)


def test_pytorch_s_learning_rate_is_the_largest_relative_step() -> None:
    start, gradient = np.asarray([1.0, -2.0]), np.asarray([0.3, 1.0])
    tensor = torch.nn.Parameter(torch.tensor(start))
    theirs = torch.optim.Adafactor([tensor], lr=0.8, eps=(1e-30, 1e-3), weight_decay=0.0)
    params, optimizer = jnp.asarray(start, jnp.float32), adafactor(relative_step(largest=0.8))
    state = optimizer.init(params)
    for _ in range(4):
        tensor.grad = torch.tensor(gradient)
        theirs.step()
        updates, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params, tensor.detach(), rtol=1e-5)


def test_leaves_are_clipped_one_by_one_even_where_squares_overflow() -> None:
    transformation = clip_by_leaf_rms(2.0)
    tree_of = {"small": jnp.asarray([1.0, -1.0]), "huge": jnp.asarray([[3e30], [4e30]]), "empty": jnp.zeros(0)}
    update, _ = transformation.update(tree_of, transformation.init(tree_of))
    np.testing.assert_array_equal(update["small"], [1.0, -1.0])
    np.testing.assert_allclose(update["huge"], np.asarray([[3.0], [4.0]]) * 2 / np.sqrt(12.5), rtol=1e-6)
    assert update["empty"].shape == (0,)
    assert np.isnan(transformation.update(jnp.asarray([1.0, np.inf]), optax.EmptyState())[0]).all()


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda: adafactor(0.1, min_size=0), "min_size must be positive, got 0"),
        (lambda: adafactor(0.1, decay_exponent=0.0), "decay_exponent must be positive, got 0.0"),
        (lambda: adafactor(0.1, eps=0.0), "eps must be positive, got 0.0"),
        (lambda: adafactor(0.1, max_rms=-1.0), "max_rms must be positive, got -1.0"),
        (lambda: adafactor(0.1, min_scale=0.0), "min_scale must be positive, got 0.0"),
        (lambda: relative_step(largest=0.0), "largest must be positive, got 0.0"),
        (
            lambda: scale_by_parameter_rms().update(jnp.ones(2), optax.EmptyState()),
            "params must be given to scale by them",
        ),
    ],
)
def test_options_outside_of_their_range_are_refused(factory: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        factory()
