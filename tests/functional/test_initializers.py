import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import torch

from fjdl.functional import initializers

KEY = jax.random.key(0)
SHAPES = [(400, 300), (3, 3, 64, 128), (5, 1, 200, 100)]
NORMAL = {
    "glorot": (initializers.glorot_normal(), torch.nn.init.xavier_normal_),
    "he": (initializers.he_normal(), lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu")),
    "lecun": (initializers.lecun_normal(), lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="linear")),
}
UNIFORM = {
    "glorot": (initializers.glorot_uniform(), torch.nn.init.xavier_uniform_),
    "he": (initializers.he_uniform(), lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu")),
    "lecun": (initializers.lecun_uniform(), lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="linear")),
}
VARIANCE = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, _: 2 / fan_in,
    "lecun": lambda fan_in, _: 1 / fan_in,
}
EVERY = {
    **{f"{name}_normal": pair[0] for name, pair in NORMAL.items()},
    **{f"{name}_uniform": pair[0] for name, pair in UNIFORM.items()},
    "normal": initializers.normal(0.1),
    "uniform": initializers.uniform(-1.0, 2.0),
    "zeros": initializers.zeros(),
    "ones": initializers.ones(),
    "constant": initializers.constant(0.25),
}


def torch_kernel(shape):
    return torch.empty(shape[-1], shape[-2], *shape[:-2])


@pytest.mark.parametrize("shape", [(3, 7), (5, 4, 3, 7), (3, 2, 6), (1, 1)])
def test_fans_equal_torch(shape):
    expected = torch.nn.init._calculate_fan_in_and_fan_out(torch_kernel(shape))
    assert initializers.fans(shape) == expected


def test_fans_of_a_grouped_kernel_count_the_inputs_of_one_group():
    conv = torch.nn.Conv2d(8, 12, 3, groups=4)
    assert initializers.fans((3, 3, 2, 12)) == torch.nn.init._calculate_fan_in_and_fan_out(conv.weight)


@pytest.mark.parametrize("shape", [(), (5,)])
def test_a_shape_without_inputs_and_outputs_is_refused(shape):
    with pytest.raises(ValueError, match=r"^shape must have at least two axes .* got \("):
        initializers.he_normal()(KEY, shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NORMAL)
def test_normal_kernels_have_the_variance_of_the_formula(name, shape):
    ours, _ = NORMAL[name]
    drawn = np.asarray(ours(KEY, shape), np.float64)
    expected = VARIANCE[name](np.prod(shape[:-1]), np.prod(shape[:-2]) * shape[-1])
    assert abs(drawn.var() / expected - 1) < 5 * np.sqrt(2 / drawn.size)
    assert abs(drawn.mean()) < 5 * np.sqrt(expected / drawn.size)
    assert scipy.stats.kstest(drawn.ravel() / np.sqrt(expected), "norm").pvalue > 1e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_kernels_have_the_variance_of_the_formula(name, shape):
    ours, _ = UNIFORM[name]
    drawn = np.asarray(ours(KEY, shape), np.float64)
    expected = VARIANCE[name](np.prod(shape[:-1]), np.prod(shape[:-2]) * shape[-1])
    assert abs(drawn.var() / expected - 1) < 5 * np.sqrt(0.8 / drawn.size)
    assert abs(drawn.mean()) < 5 * np.sqrt(expected / drawn.size)
    bound = np.sqrt(3 * expected)
    assert scipy.stats.kstest(drawn.ravel(), scipy.stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_kernels_fill_the_bounds_of_torch(name, shape):
    ours, theirs = UNIFORM[name]
    torch.manual_seed(0)
    bound = theirs(torch_kernel(shape)).abs().max().item()
    np.testing.assert_allclose(np.abs(ours(KEY, shape)).max(), bound, rtol=1e-3)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NORMAL)
def test_normal_kernels_have_the_deviation_of_torch_and_are_not_truncated(name, shape):
    ours, theirs = NORMAL[name]
    torch.manual_seed(0)
    reference = theirs(torch_kernel(shape)).numpy()
    drawn = np.asarray(ours(KEY, shape))
    np.testing.assert_allclose(drawn.std(), reference.std(), rtol=0.02)
    assert np.abs(drawn).max() > 3.5 * reference.std()


def mean_square_after_ten_relu_layers(std):
    width, keys = 512, jax.random.split(KEY, 11)
    x = jax.random.normal(keys[0], (256, width))
    for key in keys[1:]:
        x = jnp.maximum(x @ (std(width) * jax.random.normal(key, (width, width))), 0)
    return float(jnp.mean(x**2))


def test_e84_glorot_counts_both_fans_and_lecun_the_inputs_alone():
    glorot = np.var(initializers.glorot_normal()(KEY, (500, 100)))
    lecun = np.var(initializers.lecun_normal()(KEY, (500, 100)))
    np.testing.assert_allclose([glorot, lecun], [2 / 600, 1 / 500], rtol=0.03)


def test_e85_he_keeps_the_mean_square_through_ten_relu_layers_where_the_printed_form_doubles_it():
    def he(width):
        return np.std(initializers.he_normal()(KEY, (width, width)))

    kept = mean_square_after_ten_relu_layers(he)
    printed = mean_square_after_ten_relu_layers(lambda width: 2 / np.sqrt(width))
    assert 0.5 < kept < 2
    np.testing.assert_allclose(printed / kept, 2**10, rtol=0.1)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", EVERY)
def test_the_requested_dtype_is_the_rounded_float32_draw(name, dtype):
    wide = EVERY[name](KEY, (6, 5))
    assert wide.dtype == jnp.float32
    drawn = EVERY[name](KEY, (6, 5), dtype)
    assert drawn.dtype == dtype
    np.testing.assert_array_equal(np.asarray(drawn, np.float32), np.asarray(wide.astype(dtype), np.float32))


@pytest.mark.parametrize("name", EVERY)
def test_a_draw_is_a_function_of_the_key(name):
    constant = name in ("zeros", "ones", "constant")
    first, again, other = (EVERY[name](jax.random.key(seed), (6, 5)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.array_equal(first, other) == constant


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_kernel_is_empty(name):
    assert EVERY[name](KEY, (3, 3, 0, 4)).shape == (3, 3, 0, 4)


def test_constants_are_exact():
    np.testing.assert_array_equal(initializers.zeros()(KEY, (2, 2)), np.zeros((2, 2)))
    np.testing.assert_array_equal(initializers.ones()(KEY, (3,)), np.ones(3))
    np.testing.assert_array_equal(initializers.constant(0.25)(KEY, ()), 0.25)


def test_plain_normal_and_uniform_have_the_moments_asked_for():
    drawn = np.asarray(initializers.normal(0.3)(KEY, (100_000,)), np.float64)
    assert scipy.stats.kstest(drawn / 0.3, "norm").pvalue > 1e-3
    drawn = np.asarray(initializers.uniform(-1, 3)(KEY, (100_000,)), np.float64)
    assert drawn.min() >= -1
    assert drawn.max() < 3
    assert scipy.stats.kstest(drawn, scipy.stats.uniform(-1, 4).cdf).pvalue > 1e-3


def test_impossible_moments_are_refused():
    with pytest.raises(ValueError, match=r"^stddev must not be negative, got -0\.1$"):
        initializers.normal(-0.1)
    with pytest.raises(ValueError, match=r"^low must not be above high, got low=1\.0 and high=0\.0$"):
        initializers.uniform(1.0, 0.0)


def test_an_integer_dtype_is_refused():
    with pytest.raises(ValueError, match="the result must be Float"):
        initializers.ones()(KEY, (3,), jnp.int32)
