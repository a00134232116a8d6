import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fjdl.optim import chain, fix_norm, sgd


def test_a_kernel_has_the_norm_of_its_outputs_before_the_step_is_added(rng: np.random.Generator) -> None:
    kernel = rng.standard_normal((3, 3, 5, 7)).astype(np.float32)
    gradient = rng.standard_normal(kernel.shape).astype(np.float32)
    optimizer = chain(sgd(0.1), fix_norm())
    updates, _ = optimizer.update({"k": gradient}, optimizer.init({"k": kernel}), {"k": kernel})
    moved = optax.apply_updates({"k": jnp.asarray(kernel)}, updates)["k"]
    expected = kernel * np.sqrt(7) / np.linalg.norm(kernel) - 0.1 * gradient
    np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-6)


def test_a_zero_kernel_stays_and_a_huge_one_does_not_overflow() -> None:
    params = {"zero": jnp.zeros((2, 3)), "huge": jnp.full((2, 4), 1e30)}
    optimizer = fix_norm()
    updates, _ = jax.jit(optimizer.update)(jax.tree.map(jnp.zeros_like, params), optimizer.init(params), params)
    moved = optax.apply_updates(params, updates)
    np.testing.assert_array_equal(moved["zero"], 0)
    assert np.isfinite(moved["huge"]).all()


def test_it_needs_the_parameters() -> None:
    with pytest.raises(ValueError, match="params must be given to fix_norm"):
        fix_norm().update({"k": jnp.ones(2)}, fix_norm().init({"k": jnp.ones(2)}), None)
