from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import NamedSharding, PartitionSpec

from fjdl.functional.batch_norm import batch_norm, running_moments
from fjdl.functional.dropout import classic_dropout, dropout, spatial_dropout, stochastic_depth
from fjdl.functional.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from fjdl.functional.noise import gaussian_dropout, gaussian_noise

F = torch.nn.functional
KEY = jax.random.key(0)


def channels_first(function):
    return lambda x: function(x.movedim(-1, 1)).movedim(1, -1)


NORMS = [
    pytest.param(
        lambda x: batch_norm(x)[0], channels_first(lambda x: F.batch_norm(x, None, None, training=True)), id="batch"
    ),
    pytest.param(layer_norm, lambda x: F.layer_norm(x, x.shape[-1:]), id="layer"),
    pytest.param(partial(group_norm, groups=2), channels_first(lambda x: F.group_norm(x, 2)), id="group"),
    pytest.param(instance_norm, channels_first(F.instance_norm), id="instance"),
]


def value_and_gradient(ours, x, cotangent):
    """The result and the gradient, compiled, so that what a compiler joins is seen."""

    @jax.jit
    def run(x):
        y, pull = jax.vjp(ours, x)
        return y, pull(jnp.asarray(cotangent, y.dtype))[0]

    return run(x)


def by_torch(theirs, x, cotangent):
    tensor = torch.tensor(np.asarray(x, np.float64), requires_grad=True)
    y = theirs(tensor)
    y.backward(torch.tensor(cotangent))
    return y.detach().numpy(), tensor.grad.numpy()


@pytest.mark.parametrize(("ours", "theirs"), NORMS)
def test_r20_a_mean_of_ten_thousand_deviations_costs_no_digits_in_float32(ours, theirs, rng):
    x, cotangent = (1e4 + rng.standard_normal((8, 7, 16))).astype(np.float32), rng.standard_normal((8, 7, 16))
    y, gradient = value_and_gradient(ours, x, cotangent)
    expected, its_gradient = by_torch(theirs, x, cotangent)
    np.testing.assert_allclose(y, expected, atol=2e-6)
    np.testing.assert_allclose(gradient, its_gradient, atol=2e-6 * np.abs(its_gradient).max())


@pytest.mark.parametrize(("ours", "theirs"), NORMS[:2])
def test_r20_a_mean_of_a_hundred_deviations_costs_no_digits_in_bfloat16(ours, theirs, rng):
    x, cotangent = jnp.asarray(100 + rng.standard_normal((8, 7, 16)), jnp.bfloat16), rng.standard_normal((8, 7, 16))
    y, gradient = value_and_gradient(ours, x, cotangent)
    expected, its_gradient = by_torch(theirs, x, np.asarray(jnp.asarray(cotangent, jnp.bfloat16), np.float64))
    assert y.dtype == gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=2**-8, atol=1e-6)
    np.testing.assert_allclose(np.asarray(gradient, np.float64), its_gradient, rtol=2**-8, atol=1e-5)


def test_r20_plus_minus_one_about_4096_normalizes_to_itself():
    x = jnp.where(jnp.arange(64).reshape(16, 4) // 4 % 2 == 0, 4095.0, 4097.0)
    np.testing.assert_allclose(jax.jit(batch_norm)(x)[0], x - 4096, rtol=1e-5)


@pytest.mark.parametrize("function", [lambda x: batch_norm(x)[0], layer_norm, rms_norm, partial(group_norm, groups=2)])
def test_acceptance_43_zero_variance_has_finite_values_and_gradients(function):
    fills = [0.0] if function is rms_norm else [0.0, 1e4 + 1 / 3]
    run = jax.jit(
        lambda x: (function(x), jax.grad(lambda x: jnp.sum(jnp.cos(jnp.arange(24.0)) * function(x).ravel()))(x))
    )
    for fill in fills:
        y, gradient = run(jnp.full((2, 3, 4), fill))
        np.testing.assert_array_equal(y, np.zeros((2, 3, 4)))
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("norm", "theirs"),
    [
        (lambda x: batch_norm(x)[0], lambda x: F.batch_norm(x, None, None, training=True)),
        (layer_norm, lambda x: F.layer_norm(x, (4,))),
        (rms_norm, lambda x: F.rms_norm(x, (4,), eps=1e-6)),
    ],
    ids=["batch", "layer", "rms"],
)
def test_r21_squares_are_right_up_to_the_documented_limit_and_nan_beyond(norm, theirs, rng):
    x, run = rng.standard_normal((4, 4)).astype(np.float32), jax.jit(norm)
    large = x * np.float32(2.0**60)
    np.testing.assert_allclose(run(large), theirs(torch.tensor(large.astype(np.float64))), rtol=1e-5, atol=1e-6)
    assert np.isnan(run(x * np.float32(1e30))).all()


def test_r22_the_running_variance_is_pinned_to_the_biased_one_and_converts_to_torch():
    x = np.float32([[0], [2], [4], [6]])  # biased variance 5, unbiased 20/3
    _, moments = batch_norm(x)
    theirs = torch.nn.BatchNorm1d(1, momentum=0.25)
    theirs(torch.tensor(x))
    start = jnp.zeros(1), jnp.ones(1)
    biased = running_moments(*start, *moments, momentum=0.75)
    unbiased = running_moments(*start, *moments, momentum=1 - 0.25, unbiased=True)
    np.testing.assert_allclose(biased[1], [0.75 + 0.25 * 5], rtol=1e-6)
    np.testing.assert_allclose(unbiased[0], theirs.running_mean, rtol=1e-6)
    np.testing.assert_allclose(unbiased[1], theirs.running_var, rtol=1e-6)
    np.testing.assert_allclose((biased[1] - 0.75) / (unbiased[1] - 0.75), [3 / 4], rtol=1e-6)


def test_r23_one_value_per_channel_is_refused_in_training():
    for shape in ((1, 3), (3,), (1, 1, 1, 3)):
        with pytest.raises(
            ValueError, match=r"^batch_norm needs more than one value per channel in training, got x of"
        ):
            batch_norm(jnp.ones(shape))


def test_r23_an_empty_batch_or_a_nan_does_not_poison_the_running_statistics():
    @jax.jit
    def step(mean, variance, x):
        return running_moments(mean, variance, *batch_norm(x)[1])

    start = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])
    spoiled = jnp.array([[0.0, jnp.nan], [2.0, 0.0]])
    mean, variance = step(*start, spoiled)
    np.testing.assert_allclose(mean, [0.9 * 1 + 0.1 * 1, 2], rtol=1e-6)
    np.testing.assert_allclose(variance, [0.9 * 3 + 0.1 * 1, 4], rtol=1e-6)
    np.testing.assert_array_equal(jnp.stack(step(*start, jnp.zeros((0, 2)))), jnp.stack(start))
    np.testing.assert_array_equal(jnp.stack(step(*start, jnp.full((2, 2), jnp.inf))), jnp.stack(start))
    after = step(*step(*start, spoiled), jnp.ones((2, 2)))
    assert np.isfinite(jnp.stack(after)).all()


FAMILY = [dropout, classic_dropout, spatial_dropout, stochastic_depth]


@pytest.mark.parametrize("function", FAMILY)
def test_r25_a_rate_outside_0_to_1_is_refused_and_rate_1_gives_zeros_without_a_nan_gradient(function):
    for rate in (1.5, -0.5):
        with pytest.raises(ValueError, match=rf"^rate must lie in \[0, 1\], got {rate}$"):
            function(KEY, jnp.ones((2, 3, 4)), rate=rate)
    x = jnp.full((2, 3, 4), jnp.inf).at[0].set(1.0)
    y, gradient = value_and_gradient(partial(function, KEY, rate=1.0), x, np.ones((2, 3, 4)))
    assert not y.any()
    assert not gradient.any()


def test_r25_the_same_key_gives_the_same_mask_on_any_sharding():
    def noisy(x):
        family = [function(KEY, x, rate=0.5) for function in (*FAMILY, gaussian_dropout)]
        return [*family, gaussian_noise(KEY, x, deviation=1.0)]

    x = jnp.ones((16, 2, 3))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    run = jax.jit(noisy)
    for split, whole in zip(run(jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))), run(x), strict=True):
        assert len(split.sharding.device_set) == 8
        np.testing.assert_array_equal(split, whole)
