import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl import optim
from fjdl.optim.decay import add_independent_decay
from tests.support import float64

PARAMS = {"conv": {"kernel": jnp.full(2, 2.0), "bias": jnp.full(2, 2.0)}, "norm": {"scale": jnp.full(2, 2.0)}}
ZERO = jax.tree.map(jnp.zeros_like, PARAMS)


def decayed(transformation: optax.GradientTransformation) -> dict:
    return transformation.update(ZERO, transformation.init(PARAMS), PARAMS)[0]


def test_the_first_rule_that_matches_gives_the_coefficient() -> None:
    rules = [(r"conv/.*", 0.5), (r".*kernel", 3.0), (r".*", 0.0)]
    updates = decayed(optim.add_decayed_weights(0.1, rules=rules))
    np.testing.assert_allclose(updates["conv"]["kernel"], 0.1)
    np.testing.assert_allclose(updates["conv"]["bias"], 0.1)
    np.testing.assert_allclose(updates["norm"]["scale"], 0.0)


def test_kernels_spares_everything_else_as_a_mask_of_optax_does() -> None:
    mask = {"conv": {"kernel": True, "bias": False}, "norm": {"scale": False}}
    expected = decayed(optax.add_decayed_weights(0.1, mask))
    jax.tree.map(np.testing.assert_array_equal, decayed(optim.add_decayed_weights(0.1, rules=optim.KERNELS)), expected)


def test_parameters_that_no_rule_covers_are_named() -> None:
    transformation = optim.add_decayed_weights(0.1, rules=[(r".*kernel", 1.0)])
    with pytest.raises(ValueError, match=r"none matches \['conv/bias', 'norm/scale'\]"):
        decayed(transformation)


def test_missing_parameters_are_named() -> None:
    transformation = optim.add_decayed_weights(0.1)
    with pytest.raises(ValueError, match="params must be given to weight decay"):
        transformation.update(ZERO, transformation.init(PARAMS))


def test_a_negative_decay_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weight_decay must not be negative, got -0\.1"):
        optim.add_decayed_weights(-0.1)


def last_weight(optimizer: optax.GradientTransformation, steps: int = 3) -> float:
    """w after descent on w² from 1, in float64."""
    w = jnp.asarray(1.0)
    state = optimizer.init(w)
    for _ in range(steps):
        updates, state = optimizer.update(2 * w, state, w)
        w = optax.apply_updates(w, updates)
    return float(w)


def torch_weight(kind: type[torch.optim.Optimizer], steps: int = 3, **options: float) -> float:
    w = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    optimizer = kind([w], lr=0.1, **options)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.square(w).backward()
        optimizer.step()
    return w.item()


def test_e88_the_gradient_of_an_l2_penalty_is_twice_lambda_w() -> None:
    with float64():
        w = jnp.asarray([1.0, -3.0])
        penalty = jax.grad(lambda w: 0.3 * jnp.sum(jnp.square(w)))(w)
        coupled = optim.add_decayed_weights(2 * 0.3)
        np.testing.assert_allclose(coupled.update(jnp.zeros(2), coupled.init(w), w)[0], penalty, rtol=1e-15)


def test_e88_coupled_and_decoupled_decay_are_one_for_gradient_descent_alone() -> None:
    decay = optim.add_decayed_weights(0.5)
    with float64():
        before = last_weight(optax.chain(decay, optim.sgd(0.1)))
        after = last_weight(optax.chain(decay, optim.scale_by_learning_rate(0.1)))
        np.testing.assert_allclose([before, after], torch_weight(torch.optim.SGD, weight_decay=0.5), rtol=1e-14)
        rate = optim.scale_by_learning_rate(0.1)
        coupled = last_weight(optax.chain(decay, optim.scale_by_adam(), rate))
        decoupled = last_weight(optax.chain(optim.scale_by_adam(), decay, rate))
    np.testing.assert_allclose(coupled, torch_weight(torch.optim.Adam, weight_decay=0.5), rtol=1e-12)
    np.testing.assert_allclose(decoupled, torch_weight(torch.optim.AdamW, weight_decay=0.5), rtol=1e-12)
    assert abs(coupled - decoupled) > 0.1


def test_independent_decay_follows_its_own_schedule_and_spares_by_rule() -> None:
    transformation = add_independent_decay(lambda step: 0.1 * 0.5**step, rules=optim.KERNELS)
    state = transformation.init(PARAMS)
    first, state = transformation.update(ZERO, state, PARAMS)
    second, _ = transformation.update(ZERO, state, PARAMS)
    np.testing.assert_allclose([first["conv"]["kernel"][0], second["conv"]["kernel"][0]], [-0.2, -0.1], rtol=1e-6)
    np.testing.assert_array_equal(first["conv"]["bias"], 0.0)
    np.testing.assert_array_equal(first["norm"]["scale"], 0.0)


@pytest.mark.parametrize("weight_decay", [-0.1, 1.0])
def test_an_independent_decay_outside_of_its_range_is_refused(weight_decay: float) -> None:
    with pytest.raises(ValueError, match=rf"weight_decay must lie in \[0, 1\), got {weight_decay}"):
        add_independent_decay(weight_decay)


def test_independent_decay_names_missing_parameters() -> None:
    transformation = add_independent_decay(0.1)
    with pytest.raises(ValueError, match="params must be given to weight decay"):
        transformation.update(ZERO, transformation.init(PARAMS))
