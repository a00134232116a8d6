import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl import optim

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
