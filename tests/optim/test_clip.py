import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fjdl import optim
from tests.support import assert_trees_close


def clipped(grads: object, max_norm: float = 1.0) -> dict:
    transformation = optim.clip_by_global_norm(max_norm)
    return jax.jit(transformation.update)(grads, transformation.init(grads))[0]


def test_equals_optax_and_torch(rng: np.random.Generator) -> None:
    grads = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in [("a", (3, 2)), ("b", (4,))]}
    tensors = {name: torch.nn.Parameter(torch.zeros(g.shape)) for name, g in grads.items()}
    for name, tensor in tensors.items():
        tensor.grad = torch.tensor(grads[name])
    torch.nn.utils.clip_grad_norm_(tensors.values(), 0.5)
    actual = clipped(grads, 0.5)
    assert_trees_close(actual, {name: tensor.grad.numpy() for name, tensor in tensors.items()}, rtol=1e-5)
    theirs = optax.clip_by_global_norm(0.5)
    assert_trees_close(actual, theirs.update(grads, theirs.init(grads))[0])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gradients_of_1e30_are_shrunk_right(dtype: object) -> None:
    actual = clipped({"a": jnp.asarray([3e30, 0.0], dtype), "b": jnp.asarray([4e30], dtype)})
    np.testing.assert_allclose(np.asarray(actual["a"], np.float32), [0.6, 0.0], rtol=1e-2)
    np.testing.assert_allclose(np.asarray(actual["b"], np.float32), [0.8], rtol=1e-2)
    assert actual["a"].dtype == dtype


def test_a_smaller_norm_passes_to_the_bit(rng: np.random.Generator) -> None:
    grads = {"a": (1e-3 * rng.standard_normal(5)).astype(np.float32)}
    np.testing.assert_array_equal(clipped(grads)["a"], grads["a"])


def test_zero_stays_zero() -> None:
    np.testing.assert_array_equal(clipped({"a": jnp.zeros(3)})["a"], 0.0)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_one_bad_entry_shows_in_every_leaf(bad: float) -> None:
    actual = clipped({"a": jnp.asarray([1.0, bad]), "b": jnp.ones(2)})
    assert all(np.isnan(leaf).all() for leaf in actual.values())


@pytest.mark.parametrize("max_norm", [0.0, -1.0])
def test_a_limit_that_is_not_positive_is_refused(max_norm: float) -> None:
    with pytest.raises(ValueError, match=f"max_norm must be positive, got {max_norm}"):
        optim.clip_by_global_norm(max_norm)
