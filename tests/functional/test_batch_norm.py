from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen
from jax.sharding import PartitionSpec

from fjdl.functional.batch_norm import batch_norm, batch_norm_inference, running_moments
from tests.support import assert_trees_close, float64

NAN = np.nan
jitted = jax.jit(batch_norm)
update = jax.jit(running_moments)
sum_of_cubes_without_epsilon = jax.jit(jax.value_and_grad(lambda x: jnp.sum(batch_norm(x, epsilon=0.0)[0] ** 3)))


def arrays(rng, *batch, channels=3):
    x = 2 + 3 * rng.standard_normal((*batch, channels))
    return x, rng.standard_normal(channels), rng.standard_normal(channels)


def torch_batch_norm(x, scale, bias):
    return torch.nn.functional.batch_norm(x.movedim(-1, 1), None, None, scale, bias, training=True).movedim(1, -1)


def test_gradients_equal_torch(rng):
    operands, cotangent = arrays(rng, 2, 3, 4), rng.standard_normal((2, 3, 4, 3))
    tensors = [torch.tensor(a, requires_grad=True) for a in operands]
    torch_batch_norm(*tensors).backward(torch.tensor(cotangent))
    with float64():
        gradients = jax.jit(lambda a, ct: jax.vjp(lambda *a: batch_norm(*a)[0], *a)[1](ct))(operands, cotangent)
    for ours, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, np.asarray(tensor.grad), rtol=1e-11, atol=1e-12)


def test_second_derivatives_equal_torch(rng):
    operands = arrays(rng, 4, channels=1)
    with float64():
        actual = jax.jit(jax.hessian(lambda x: jnp.sum(jnp.tanh(batch_norm(x, *operands[1:])[0]))))(operands[0])
    expected = torch.autograd.functional.hessian(
        lambda x: torch.tanh(torch_batch_norm(x, *map(torch.tensor, operands[1:]))).sum(), torch.tensor(operands[0])
    )
    np.testing.assert_allclose(actual, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_the_result_has_the_dtype_of_x_and_the_moments_are_float32(dtype):
    with jax.numpy_dtype_promotion("strict"):
        y, moments = jax.eval_shape(batch_norm, jnp.zeros((4, 2), dtype), jnp.ones(2), jnp.zeros(2))
    assert y.dtype == dtype
    assert {m.dtype for m in moments} == {jnp.dtype("float32")}


def test_bfloat16_statistics_of_4096_rows_are_summed_in_float32(rng):
    x = jnp.asarray(1 + rng.uniform(size=(4096, 2)), jnp.bfloat16)
    _, moments = jitted(x)
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(moments.mean, exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, exact.var(0), rtol=1e-5)


def test_scale_and_bias_are_optional(rng):
    x = rng.standard_normal((6, 2)).astype(np.float32)
    plain, scaled, shifted = (
        jitted(x)[0],
        jitted(x, jnp.array([2.0, 3]))[0],
        jitted(x, None, jnp.ones(2))[0],
    )
    np.testing.assert_allclose(scaled, plain * np.array([[2.0, 3]]), rtol=1e-6)
    np.testing.assert_allclose(shifted, plain + 1, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", [bool, np.int32, np.float32])
def test_a_mask_of_tokens_leaves_the_others_out(rng, kind):
    x = rng.standard_normal((3, 4, 2)).astype(np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    y, moments = jitted(x, mask=mask.astype(kind))
    present = x[mask == 1]
    np.testing.assert_allclose(moments.mean, present.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, present.var(0), rtol=1e-5)
    assert moments.n == 3
    assert not y[mask == 0].any()


@pytest.mark.parametrize("junk", [NAN, np.inf, 3e38])
def test_what_a_masked_example_holds_reaches_nothing(rng, junk):
    x = rng.standard_normal((4, 2)).astype(np.float32)
    spoiled, mask = x.copy(), np.array([True, True, True, False])
    spoiled[3] = junk

    @jax.jit
    def run(x):
        y, pull, moments = jax.vjp(lambda x: batch_norm(x, mask=mask), x, has_aux=True)
        return y, pull(jnp.sin(jnp.arange(8.0)).reshape(4, 2))[0], moments

    with jax.debug_nans(True):
        clean, dirty = run(x), run(spoiled)
    assert_trees_close(dirty, clean, rtol=0, atol=0)
    assert not dirty[0][3].any()
    assert not dirty[1][3].any()


def test_an_empty_or_fully_masked_batch_gives_zeros_and_no_gradient():
    x = jnp.full((3, 2), 5.0)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: jnp.sum(batch_norm(x, jnp.ones(2), mask=jnp.zeros(3))[0])))(
        x
    )
    assert value == 0
    assert not gradient.any()
    for moments in (jitted(x, mask=jnp.zeros(3))[1], jitted(jnp.zeros((0, 2)))[1]):
        assert moments.n == 0
        assert not moments.mean.any()
        assert not moments.variance.any()


def test_a_constant_channel_gives_the_bias_without_epsilon_too():
    x = jnp.array([[3.0, 1], [3, 2], [3, 1], [3, 2], [3, 1.5]])
    value, gradient = sum_of_cubes_without_epsilon(x)
    assert abs(value) < 1e-6
    assert np.isfinite(gradient).all()
    assert not gradient[:, 0].any()


def test_deviations_of_1e_minus_15_have_their_gradient_without_epsilon(rng):
    x = 1e-15 * rng.standard_normal((5, 2))
    tensor = torch.tensor(x, requires_grad=True)
    torch.nn.functional.batch_norm(tensor, None, None, training=True, eps=1e-300).pow(3).sum().backward()
    _, gradient = sum_of_cubes_without_epsilon(x.astype(np.float32))
    np.testing.assert_allclose(gradient, np.asarray(tensor.grad), rtol=1e-4, atol=1e10)


def test_running_statistics_follow_torch(rng):
    theirs = torch.nn.BatchNorm1d(3, momentum=0.1)
    mean, variance = jnp.zeros(3), jnp.ones(3)
    follow = jax.jit(partial(running_moments, momentum=0.9, unbiased=True))
    for n in (4, 4, 4):
        x = rng.standard_normal((n, 3)).astype(np.float32) * 5 + 2
        theirs(torch.tensor(x))
        mean, variance = follow(mean, variance, *jitted(x)[1])
    np.testing.assert_allclose(mean, theirs.running_mean, rtol=1e-5)
    np.testing.assert_allclose(variance, theirs.running_var, rtol=1e-5)


def test_running_statistics_follow_flax(rng):
    theirs = linen.BatchNorm(momentum=0.9, use_running_average=False, use_fast_variance=False)
    x = rng.standard_normal((4, 3)).astype(np.float32) * 5 + 2
    variables = theirs.init(jax.random.key(0), x)
    expected = theirs.apply(variables, x, mutable=["batch_stats"])[1]["batch_stats"]
    mean, variance = update(jnp.zeros(3), jnp.ones(3), *jitted(x)[1])
    np.testing.assert_allclose(mean, expected["mean"], rtol=1e-5)
    np.testing.assert_allclose(variance, expected["var"], rtol=1e-5)


@pytest.mark.parametrize("momentum", [-0.1, 1.1, NAN])
def test_a_momentum_outside_0_to_1_is_refused(momentum):
    with pytest.raises(ValueError, match=rf"^momentum must lie in \[0, 1\], got {momentum}$"):
        running_moments(*jnp.ones((4, 1)), jnp.float32(3), momentum=momentum)


@pytest.mark.parametrize(("momentum", "expected"), [(0.0, 5.0), (1.0, 2.0)])
def test_momentum_0_takes_the_batch_and_1_keeps_the_statistics(momentum, expected):
    old, new = jnp.full(1, 2.0), jnp.full(1, 5.0)
    for value in running_moments(old, old, new, new, jnp.float32(3), momentum=momentum):
        np.testing.assert_array_equal(value, [expected])


def shards(function, axis="data"):
    mesh = jax.make_mesh((8,), (axis,), axis_types=(jax.sharding.AxisType.Auto,))
    data, everywhere = PartitionSpec(axis), PartitionSpec()
    return jax.jit(
        jax.shard_map(function, mesh=mesh, in_specs=(data, everywhere, everywhere, data), out_specs=(data, everywhere))
    )


def test_eight_devices_with_unequal_masks_equal_one_big_batch(rng):
    x = (4096 + rng.standard_normal((24, 2))).astype(np.float32)
    scale, bias = np.float32([2, 3]), np.float32([4, 5])
    mask = np.arange(24) % 5 != 0
    mask[:3] = False  # one device has nothing at all
    weights = rng.standard_normal((24, 2)).astype(np.float32)
    split = shards(lambda x, s, b, m: batch_norm(x, s, b, mask=m, axis_name="data"))

    def whole(x, s, b, m):
        return batch_norm(x, s, b, mask=m)

    def run(function):
        def objective(x, s, b):
            y, moments = function(x, s, b, mask)
            return jnp.sum(y * weights) + jnp.sum(moments.variance), (y, moments)

        return jax.jit(jax.grad(objective, (0, 1, 2), has_aux=True))(x, scale, bias)

    assert_trees_close(run(split), run(whole), rtol=1e-5, atol=2e-5)
    exact = x[mask].astype(np.float64)
    np.testing.assert_allclose(run(split)[1][1].variance, exact.var(0), rtol=1e-5)


def test_a_named_axis_of_vmap_joins_the_parts_without_a_mask(rng):
    x = rng.standard_normal((4, 1, 3)).astype(np.float32)  # one value per channel and part
    y, moments = jax.jit(jax.vmap(partial(batch_norm, axis_name="parts"), axis_name="parts"))(x)
    expected, whole = jitted(x[:, 0])
    np.testing.assert_allclose(y[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(moments.variance[0], whole.variance, rtol=1e-6)
    np.testing.assert_array_equal(moments.n, np.full(4, 4.0))


def test_inference_with_the_deviation_as_scale_and_the_mean_as_bias_is_the_identity(rng):
    x, mean, variance = rng.standard_normal((5, 3)), rng.standard_normal(3), rng.uniform(1, 2, 3)
    with float64():
        y = batch_norm_inference(x, mean, variance, np.sqrt(variance + 1e-5), mean)
    np.testing.assert_allclose(y, x, rtol=1e-13, atol=1e-14)


def test_inference_does_not_depend_on_the_batch(rng):
    x = rng.standard_normal((5, 3)).astype(np.float32)
    statistics = jnp.zeros(3), jnp.ones(3)
    np.testing.assert_array_equal(batch_norm_inference(x, *statistics)[:1], batch_norm_inference(x[:1], *statistics))
