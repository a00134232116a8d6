import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fjdl.optim.noise import add_noise

UPDATES = {"a": np.full(4000, 3.0, np.float32), "b": np.zeros((50, 80), np.float32), "c": np.float32(0)}
NOISE = add_noise(jax.random.key(1), eta=0.3, gamma=0.55)
UPDATE = jax.jit(NOISE.update)


@pytest.mark.parametrize("step", [0, 7])
def test_the_noise_is_normal_with_the_variance_of_the_paper(step: int) -> None:
    state = NOISE.init(UPDATES)._replace(step=jnp.asarray(step))
    noisy, state = UPDATE(UPDATES, state)
    deviation = (0.3 / (1 + step) ** 0.55) ** 0.5
    first, second = noisy["a"] - UPDATES["a"], np.ravel(noisy["b"])
    for noise in (first, second):
        assert scipy.stats.kstest(np.asarray(noise, np.float64), scipy.stats.norm(0, deviation).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.06
    assert int(state.step) == step + 1


def test_every_step_draws_anew_and_a_run_can_be_repeated() -> None:
    start = NOISE.init(UPDATES)
    first, state = UPDATE(UPDATES, start)
    second, _ = UPDATE(UPDATES, state)
    assert abs(np.corrcoef(first["a"], second["a"])[0, 1]) < 0.06
    np.testing.assert_array_equal(UPDATE(UPDATES, start)[0]["a"], first["a"])


def test_the_key_of_the_caller_outlives_a_donated_state() -> None:
    key = jax.random.key(2)
    noise = add_noise(key, eta=0.1)
    gradient = jnp.zeros(3)
    updates, _ = jax.jit(noise.update, donate_argnums=(1,))(gradient, noise.init(gradient))
    np.testing.assert_allclose(updates, noise.update(gradient, noise.init(gradient))[0], rtol=1e-6)


def test_no_noise_is_the_identity_also_in_bfloat16_and_for_no_leaves() -> None:
    silent = add_noise(jax.random.key(0), eta=0.0)
    gradient = jnp.asarray([1.0, -2.0], jnp.bfloat16)
    updates, state = silent.update(gradient, silent.init(gradient))
    np.testing.assert_array_equal(np.asarray(updates, np.float32), [1.0, -2.0])
    assert updates.dtype == jnp.bfloat16
    assert silent.update({}, state)[0] == {}


@pytest.mark.parametrize("name", ["eta", "gamma"])
def test_negative_options_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must not be negative, got -0.1"):
        add_noise(jax.random.key(0), **{"eta": 0.1, "gamma": 0.5, name: -0.1})
