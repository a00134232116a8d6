"""Every function of single numbers against double precision: values, first and second derivatives, limits, rounding."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as T

from fjdl.functional import activations, gates, rectifiers
from fjdl.functional.pointwise import over_channels, pointwise
from tests.support import float64

INF, NAN = np.inf, np.nan


def gelu(x):
    """Torch's own form cancels in the lower tail even in float64, and so does that of the approximation."""
    return 0.5 * x * torch.erfc(-np.sqrt(0.5) * x)


def gelu_tanh(x):
    return x * torch.sigmoid(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


# ours, the oracle, the gradients at -inf and inf, where it has kinks
TABLE = {
    "identity": (activations.identity, lambda x: x, (1, 1), []),
    "relu": (activations.relu, torch.relu, (0, 1), [0]),
    "tanh": (activations.tanh, torch.tanh, (0, 0), []),
    "sigmoid": (activations.sigmoid, torch.sigmoid, (0, 0), []),
    "log_sigmoid": (activations.log_sigmoid, T.logsigmoid, (1, 0), []),
    "softplus": (activations.softplus, lambda x: torch.logaddexp(x, 0 * x), (0, 1), []),
    "softplus_3": (
        partial(activations.softplus, beta=3.0), lambda x: torch.logaddexp(3 * x, 0 * x) / 3, (0, 1), []
    ),
    "softsign": (activations.softsign, T.softsign, (0, 0), [0]),
    "tanhshrink": (activations.tanhshrink, T.tanhshrink, (1, 1), []),
    "erf": (activations.erf, torch.erf, (0, 0), []),
    "leaky_relu": (rectifiers.leaky_relu, T.leaky_relu, (0.01, 1), [0]),
    "elu": (partial(rectifiers.elu, alpha=0.7), lambda x: T.elu(x, 0.7), (0, 1), [0]),
    "selu": (rectifiers.selu, T.selu, (0, 1.0507009873554805), [0]),
    "celu": (partial(rectifiers.celu, alpha=0.7), lambda x: T.celu(x, 0.7), (0, 1), [0]),
    "relu6": (rectifiers.relu6, T.relu6, (0, 0), [0, 6]),
    "hard_tanh": (rectifiers.hard_tanh, T.hardtanh, (0, 0), [-1, 1]),
    "hard_sigmoid": (rectifiers.hard_sigmoid, lambda x: T.relu6(x + 3) / 6, (0, 0), [-3, 3]),
    "hard_swish": (rectifiers.hard_swish, T.hardswish, (0, 1), [-3, 3]),
    "softshrink": (partial(rectifiers.softshrink, threshold=0.3), lambda x: T.softshrink(x, 0.3), (1, 1), [-0.3, 0.3]),
    "hardshrink": (rectifiers.hardshrink, T.hardshrink, (1, 1), [-0.5, 0.5]),
    "gelu": (gates.gelu, gelu, (0, 1), []),
    "gelu_tanh": (gates.gelu_tanh, gelu_tanh, (0, 1), []),
    "silu": (gates.silu, T.silu, (0, 1), []),
    "swish": (lambda x: gates.swish(x, 1.7), lambda x: x * torch.sigmoid(1.7 * x), (0, 1), []),
    "mish": (gates.mish, T.mish, (0, 1), []),
}  # fmt: skip
every_function = pytest.mark.parametrize("name", TABLE)

SIZES = np.concatenate([np.logspace(-4, -1, 7), np.linspace(0.15, 12, 40), np.logspace(1.2, 4, 9)])
POINTS = np.concatenate([-SIZES[::-1], [0.0], SIZES])


# compiled for a single run
quick = partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)


@quick
def curves(x):
    """Values and derivatives of the whole table."""
    pulled = {name: jax.vjp(row[0], x) for name, row in TABLE.items()}
    return {name: (value, pullback(jnp.ones_like(value))[0]) for name, (value, pullback) in pulled.items()}


@cache
def all_on_all(dtype):
    """At the points, at the limits, and at the largest numbers."""
    with float64():
        extremes = np.array([-1, 1]) * float(jnp.finfo(dtype).max)
        return curves(jnp.asarray(np.concatenate([POINTS, [-INF, INF, NAN], extremes]), dtype))


def on_all(name, dtype):
    value, slope = all_on_all(dtype)[name]
    assert value.dtype == slope.dtype == jnp.dtype(dtype)
    return np.asarray(value, np.float64), np.asarray(slope, np.float64)


def ours(name, dtype):
    return [curve[: len(POINTS)] for curve in on_all(name, dtype)]


def at_limits(name, dtype):
    return [curve[len(POINTS) :] for curve in on_all(name, dtype)]


def exact(name, x):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = TABLE[name][1](x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    return y.detach().numpy(), slope.numpy()


@every_function
def test_float64_value_and_derivative_equal_torch(name):
    rtol = 4e-7 if name == "celu" else 1e-9  # torch has 1 / alpha in float32
    for actual, expected in zip(ours(name, "float64"), exact(name, POINTS), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-15)


@every_function
def test_float32_keeps_its_digits_far_into_the_tails(name):
    x = np.asarray(POINTS, np.float32).astype(np.float64)
    (value, slope), (value64, slope64) = ours(name, "float32"), exact(name, x)
    # exponents of up to 90 that were rounded before
    rtol = {"gelu": 6e-6, "gelu_tanh": 2e-5, "softplus_3": 5e-6, "swish": 5e-6, "celu": 5e-6}.get(name, 1.5e-6)
    np.testing.assert_allclose(value, value64, rtol=rtol, atol=2e-38)
    np.testing.assert_allclose(slope, slope64, rtol=2e-6, atol=5e-7)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@every_function
def test_half_precision_is_right_to_one_unit_in_the_last_place(name, dtype):
    x = np.asarray(jnp.asarray(POINTS, dtype), np.float64)
    epsilon, tiny = float(jnp.finfo(dtype).eps), float(jnp.finfo(dtype).smallest_normal)
    if name in ("tanh", "sigmoid"):
        return  # in the arithmetic of XLA
    for order, (actual, expected) in enumerate(zip(ours(name, dtype), exact(name, x), strict=True)):
        unit = epsilon * np.maximum(2.0 ** np.floor(np.log2(np.maximum(np.abs(expected), tiny))), tiny)
        error = np.abs(actual - expected) / (unit + order * 5e-7 + 2e-38)
        assert error.max() <= 1, f"derivative {order}: {error.max()} units at {x[error.argmax()]}"


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@every_function
def test_at_infinity_the_gradients_are_the_limits_and_nan_stays_nan(name, dtype):
    value, slope = at_limits(name, dtype)
    np.testing.assert_array_equal(slope[:2], np.asarray(TABLE[name][2], jnp.dtype(dtype)).astype(np.float64))
    np.testing.assert_array_equal(np.isnan(value), [False, False, True, False, False])
    assert not np.isnan(slope[3:]).any()


def test_second_derivatives_equal_torch():
    x = np.array([-30.0, -7.3, -2.7, -1.1, -0.2, 0.2, 1.1, 2.7, 5.3, 30.0])  # away from all kinks

    def second(function, x):
        def slope(x):
            return jax.vjp(function, x)[1](jnp.ones_like(x))[0]

        return jax.vjp(slope, x)[1](jnp.ones_like(x))[0]

    every = quick(lambda x: {name: second(row[0], x) for name, row in TABLE.items()})
    with float64():
        results = every(jnp.asarray(np.concatenate([x, [-INF, -1e30, -1e4, 1e4, 1e30, INF]])))
    for name, (_, oracle, _, _) in TABLE.items():
        actual = results[name]
        t = torch.tensor(x, requires_grad=True)
        (slope,) = torch.autograd.grad(oracle(t).sum(), t, create_graph=True)
        expected = torch.autograd.grad(slope.sum(), t)[0].numpy() if slope.requires_grad else np.zeros_like(x)
        np.testing.assert_allclose(actual[: len(x)], expected, rtol=1e-6, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(actual[len(x) :], 0, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 1)])
@every_function
def test_every_shape_is_kept(name, shape):
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    assert jax.eval_shape(TABLE[name][0], x).shape == shape


@every_function
def test_integers_are_refused(name):
    with pytest.raises(ValueError, match="argument `x` must be Float"):
        TABLE[name][0](jnp.arange(3))


def test_pointwise_has_the_stated_derivative_in_both_modes_and_the_dtype_of_its_input():
    square = partial(pointwise, value=lambda x: x * x, slope=lambda x: 3 * x)  # 3x tells it from the derived 2x
    x = jnp.asarray([1.0, -2.0], jnp.bfloat16)
    value, tangent = jax.jvp(square, (x,), (jnp.ones_like(x),))
    assert value.dtype == tangent.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.float32(value), [1, 4])
    np.testing.assert_array_equal(np.float32(tangent), [3, -6])
    gradient = jax.vmap(jax.grad(square))(x)
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.float32(gradient), [3, -6])
    np.testing.assert_array_equal(jax.vmap(jax.grad(jax.grad(square)))(np.float32([1, 2])), [3, 3])


def test_a_parameter_of_channels_broadcasts_along_the_last_axis():
    x = jnp.zeros((2, 3, 4), jnp.bfloat16)
    assert over_channels(jnp.arange(4.0), x).shape == (1, 1, 4)
    assert over_channels(0.5, x).shape == (1, 1, 1)
    assert over_channels(0.5, x).dtype == jnp.float32
    with pytest.raises(ValueError, match=r"^the parameter must be one number .* of shape \(2, 3, 4\), got \(3,\)$"):
        over_channels(jnp.zeros(3), x)
