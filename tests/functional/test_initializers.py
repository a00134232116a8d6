import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import torch

from fjdl import functional
from fjdl.functional import activations, gates, initializers, rectifiers

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
    "variance_scaling": initializers.variance_scaling(1.5, mode="fan_out", distribution="truncated_normal"),
    "normal": initializers.normal(0.1),
    "truncated_normal": initializers.truncated_normal(0.1),
    "orthogonal": initializers.orthogonal(gain=1.5),
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


def mean_squares(init, activation, *, start=1.0, width=256, layers=20):
    """Of the activations of a deep network before and after its layers."""
    kernels = np.asarray(jax.vmap(lambda key: init(key, (width, width)))(jax.random.split(KEY, layers)))
    x = start * np.random.default_rng(0).standard_normal((64, width)).astype(np.float32)
    before = np.mean(x**2)
    for kernel in kernels:
        x = np.asarray(activation(x @ kernel))
    return before, np.mean(np.float64(x) ** 2)


@pytest.mark.parametrize(
    ("init", "activation", "start"),
    [
        (initializers.he_normal(), activations.relu, 1.0),
        (initializers.lecun_normal(), activations.identity, 1.0),
        (initializers.lecun_normal(), rectifiers.selu, 1.0),
        (initializers.glorot_normal(), activations.tanh, 0.05),
    ],
    ids=["he-relu", "lecun-linear", "lecun-selu", "glorot-tanh"],
)
def test_the_right_pair_keeps_the_mean_square_over_20_layers(init, activation, start):
    before, after = mean_squares(init, activation, start=start)
    assert 0.25 < after / before < 4


@pytest.mark.parametrize(
    ("init", "activation", "factor"),
    [
        (initializers.lecun_normal(), activations.relu, 2.0**-20),
        (initializers.glorot_normal(), activations.relu, 2.0**-20),
        (initializers.he_normal(), activations.identity, 2.0**20),
    ],
    ids=["lecun-relu", "glorot-relu", "he-linear"],
)
def test_a_wrong_pair_loses_or_doubles_the_mean_square_in_each_of_20_layers(init, activation, factor):
    before, after = mean_squares(init, activation)
    assert 0.25 < after / before / factor < 4


@pytest.mark.parametrize("activation", [gates.gelu, activations.tanh], ids=lambda f: f.__name__)
def test_the_gain_gives_the_next_layers_sums_variance_1_again(activation, rng):
    init = initializers.variance_scaling(initializers.gain(activation) ** 2)
    before = rng.standard_normal((300, 400)).astype(np.float32)
    after = np.asarray(activation(before) @ init(KEY, (400, 300)), np.float64)
    assert np.mean(after**2) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("breaks", [False, True])
def test_equal_weights_give_all_units_the_same_gradient_for_ever_and_random_ones_do_not(breaks, rng):
    init = initializers.lecun_normal() if breaks else initializers.constant(0.3)
    w1, w2 = init(KEY, (6, 5)), init(jax.random.key(1), (6, 5))[:5, :1]
    x, y = rng.standard_normal((8, 6)).astype(np.float32), rng.standard_normal((8, 1)).astype(np.float32)

    def loss(w1, w2):
        return jnp.mean((jnp.tanh(x @ w1) @ w2 - y) ** 2)

    d1, d2 = jax.grad(loss, argnums=(0, 1))(w1, w2)
    assert jnp.abs(d1).max() > 0
    assert bool(jnp.ptp(d1, axis=1).max() > 1e-6) == bool(jnp.ptp(d2) > 1e-6) == breaks


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "uniform"])
def test_variance_scaling_has_the_variance_of_its_formula_and_the_shape_of_its_distribution(mode, distribution):
    shape = (3, 3, 64, 128)
    drawn = np.asarray(initializers.variance_scaling(1.5, mode=mode, distribution=distribution)(KEY, shape), np.float64)
    deviation = np.sqrt(1.5 / {"fan_in": 576, "fan_out": 1152, "fan_avg": 864}[mode])
    np.testing.assert_allclose(drawn.std(), deviation, rtol=0.015)
    law = {
        "normal": scipy.stats.norm(scale=deviation),
        "truncated_normal": scipy.stats.truncnorm(-2, 2, scale=deviation / scipy.stats.truncnorm(-2, 2).std()),
        "uniform": scipy.stats.uniform(-np.sqrt(3) * deviation, 2 * np.sqrt(3) * deviation),
    }[distribution]
    assert scipy.stats.kstest(drawn.ravel(), law.cdf).pvalue > 1e-3


def test_variance_scaling_counts_the_fans_of_groups_and_transposed_kernels():
    one = initializers.variance_scaling(1.0, mode="fan_out")(KEY, (3, 3, 64, 128))
    four = initializers.variance_scaling(1.0, mode="fan_out", groups=4)(KEY, (3, 3, 64, 128))
    np.testing.assert_allclose(four, 2 * one, rtol=1e-6)
    swapped = initializers.variance_scaling(1.0, groups=4, transposed=True)(KEY, (3, 3, 64, 128))
    np.testing.assert_array_equal(swapped, four)


def test_a_truncated_normal_stays_between_its_ends_and_equals_torch():
    drawn = np.asarray(initializers.truncated_normal(0.5, low=-1.0, high=3.0)(KEY, (20_000,)), np.float64)
    torch.manual_seed(0)
    reference = torch.nn.init.trunc_normal_(torch.empty(20_000), std=0.5, a=-0.5, b=1.5).numpy()
    assert drawn.min() >= -0.5
    assert drawn.max() <= 1.5
    assert scipy.stats.ks_2samp(drawn, reference).pvalue > 1e-3


def test_the_deviation_between_two_deviations_is_that_of_the_docstring():
    drawn = np.asarray(initializers.truncated_normal(1.0)(KEY, (100_000,)), np.float64)
    assert drawn.std() == pytest.approx(scipy.stats.truncnorm(-2, 2).std(), rel=0.01) == pytest.approx(0.88, abs=0.01)


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


def test_e83_small_deviations_let_activations_vanish_and_large_ones_saturate_them():
    def last(std):
        x = np.random.default_rng(0).standard_normal((100, 200)).astype(np.float32)
        for layer in range(10):
            x = functional.tanh(functional.linear(x, initializers.normal(std)(jax.random.key(layer), (200, 200))))
        return np.abs(np.asarray(x))

    small, large = last(0.01), last(1.0)
    assert small.mean() < 1e-7  # each layer keeps 0.01 √200 = 0.14 of the deviation
    assert (large > 0.99).mean() > 0.8
    assert not (small > 0.99).any()


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
    with pytest.raises(ValueError, match=r"^scale must not be negative, got -1\.0$"):
        initializers.variance_scaling(-1.0)
    with pytest.raises(ValueError, match=r"variance_scaling: argument `mode` must be .*fan_avg.*, got 'fan'"):
        initializers.variance_scaling(1.0, mode="fan")
    with pytest.raises(ValueError, match=r"^stddev must not be negative, got -0\.1$"):
        initializers.truncated_normal(-0.1)
    with pytest.raises(ValueError, match=r"^low must be below high, got low=2\.0 and high=2\.0$"):
        initializers.truncated_normal(1.0, low=2.0)
    with pytest.raises(ValueError, match=r"^stddev must not be negative, got -0\.1$"):
        initializers.normal(-0.1)
    with pytest.raises(ValueError, match=r"^low must not be above high, got low=1\.0 and high=0\.0$"):
        initializers.uniform(1.0, 0.0)


def test_an_integer_dtype_is_refused():
    with pytest.raises(ValueError, match="the result must be Float"):
        initializers.ones()(KEY, (3,), jnp.int32)
