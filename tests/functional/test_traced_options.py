"""Options of layers that choose neither shapes nor code may be traced: learned, or scheduled under one compilation."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import functional as F
from fjdl.calls import union
from tests.losses.test_traced_options import refusal
from tests.meshes import on_axes_of_their_own, value_and_gradients
from tests.support import float64

rng = np.random.default_rng(0)
LOGITS = jnp.asarray(rng.standard_normal((4, 3)), jnp.float32)
IMAGE = jnp.asarray(rng.standard_normal((1, 4, 4, 2)), jnp.float32)
COUNTS, MEAN, VARIANCE = jnp.array([1.0, 50.0, 3.0]), jnp.zeros(3), jnp.ones(3)
KEY = jax.random.key(0)
HEADS = tuple(jnp.asarray(rng.standard_normal((2, 3, 2, 4)), jnp.float32) for _ in range(3))  # queries, keys, values
CACHE = F.KeyValues(*HEADS[1:])
IDS = jnp.arange(12)
NORMED = tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((4, 8), (2, 8), 8, 8, 8, 2, 2))
NORMED_OF_THREE = (jnp.asarray(rng.standard_normal((3, 8)), jnp.float32), *NORMED[1:])


def first(function: Callable[..., Any]) -> Callable[..., Any]:
    """The first of several results."""
    return lambda *args, **options: function(*args, **options)[0]


def of_matrix(function: Callable[..., Any]) -> Callable[..., Any]:
    """The map of a fitted transform without its signs, which no rule fixes."""
    return lambda *args, **options: jnp.abs(function(*args, **options).matrix)


OPTIONS: list[tuple[Callable[..., Any], str, tuple[float, ...], Callable[..., Any]]] = [
    (F.softplus, "beta", (0.7, 3.0), partial(F.softplus, LOGITS)),
    (F.swish, "beta", (0.0, 1.7), partial(F.swish, LOGITS)),
    (F.elu, "alpha", (0.0, 0.7), partial(F.elu, LOGITS)),
    (F.celu, "alpha", (0.3, 2.0), partial(F.celu, LOGITS)),
    (F.leaky_relu, "negative_slope", (-0.5, 0.0, 0.2), partial(F.leaky_relu, LOGITS)),
    (F.softshrink, "threshold", (0.0, 0.4), partial(F.softshrink, LOGITS)),
    (F.hardshrink, "threshold", (0.0, 0.4), partial(F.hardshrink, LOGITS)),
    *(
        (F.local_response_norm, name, (0.5, 1.5), partial(F.local_response_norm, LOGITS, size=2, average=average))
        for name, average in (("alpha", True), ("beta", False), ("k", False))
    ),
    *(
        (norm, "epsilon", (1e-5, 0.3), partial(norm, IMAGE, **options))
        for norm, options in (
            (F.layer_norm, {}),
            (F.rms_norm, {}),
            (F.instance_norm, {}),
            (F.group_norm, {"groups": 1}),
        )
    ),
    (F.batch_norm, "epsilon", (1e-5, 0.3), partial(first(F.batch_norm), LOGITS)),
    (F.batch_norm_of_product, "epsilon", (1e-5, 0.3), partial(first(F.batch_norm_of_product), LOGITS, LOGITS.T)),
    (F.batch_norm_inference, "epsilon", (0.0, 0.3), partial(F.batch_norm_inference, LOGITS, MEAN, VARIANCE)),
    (
        F.running_moments,
        "momentum",
        (0.0, 0.9, 1.0),
        partial(first(F.running_moments), MEAN, VARIANCE, LOGITS[0].at[1].set(jnp.nan), COUNTS, jnp.float32(8)),
    ),
    (F.lp_pool2d, "p", (1.0, 2.0, 3.5), partial(F.lp_pool2d, IMAGE.at[0, 0, 0].set(0), window=2)),
    (F.preprocessing.scale_pixels, "maximum", (7.0,), lambda **option: F.preprocessing.scale_pixels(IMAGE, **option)),
    *(
        (F.scaling.fit_min_max, name, (0.5,), partial(first(F.scaling.fit_min_max), IMAGE[0]))
        for name in ("low", "high")
    ),
    (F.whitening.fit_whitening, "epsilon", (1e-5, 0.3), partial(of_matrix(F.whitening.fit_whitening), LOGITS)),
    (
        F.whitening.patch_whitening,
        "epsilon",
        (0.3,),
        lambda **option: jnp.linalg.norm(F.whitening.patch_whitening(IMAGE, window=2, **option).reshape(8, 16), axis=0),
    ),
    (F.dropout, "rate", (0.0, 0.5, 1.0), partial(F.dropout, KEY, LOGITS)),
    (F.classic_dropout, "rate", (0.0, 0.5, 1.0), partial(F.classic_dropout, KEY, LOGITS)),
    (F.classic_dropout_inference, "rate", (0.0, 0.5, 1.0), partial(F.classic_dropout_inference, LOGITS)),
    (F.spatial_dropout, "rate", (0.0, 0.5, 1.0), partial(F.spatial_dropout, KEY, LOGITS)),
    (F.stochastic_depth, "rate", (0.0, 0.5, 1.0), partial(F.stochastic_depth, KEY, LOGITS)),
    (F.dropout_expectation, "rate", (0.5,), partial(F.dropout_expectation, LOGITS[0], output=jnp.square)),
    (F.drop_connect, "rate", (0.5, 1.0), partial(F.drop_connect, KEY, LOGITS, jnp.ones((3, 2)))),
    (F.word_dropout, "rate", (0.0, 0.5, 1.0), lambda **option: 1.0 * F.word_dropout(KEY, IDS, unknown=0, **option)),
    (F.embedding_dropout, "rate", (0.0, 0.5, 1.0), partial(F.embedding_dropout, KEY, LOGITS)),
    (F.dropout_attention, "rate", (0.0, 0.5), partial(F.dropout_attention, KEY, *HEADS)),
    (F.dropout_attention, "scale", (0.3, 2.0), partial(F.dropout_attention, KEY, *HEADS, rate=0.5)),
    (F.dot_product_attention, "scale", (0.3, 2.0), partial(F.dot_product_attention, *HEADS)),
    (F.dot_product_weights, "scale", (0.3, 2.0), partial(F.dot_product_weights, *HEADS[:2])),
    (
        F.cached_attention,
        "scale",
        (0.3, 2.0),
        partial(F.cached_attention, HEADS[0][:, :1], F.KeyValues(*HEADS[1:]), position=2),
    ),
    (F.sinusoidal_positions, "base", (10.0, 1e4), partial(F.sinusoidal_positions, jnp.arange(3.0), features=4)),
    (F.rotary_halves, "base", (10.0, 1e4), partial(F.rotary_halves, HEADS[0])),
    (F.rotary_interleaved, "base", (10.0, 1e4), partial(F.rotary_interleaved, HEADS[0])),
    (F.layer_norm_lstm, "epsilon", (1e-5, 0.3), partial(first(F.layer_norm_lstm), HEADS[0][:, :, 0], *NORMED)),
    (
        F.layer_norm_lstm_cell,
        "epsilon",
        (1e-5, 0.3),
        partial(first(F.layer_norm_lstm_cell), LOGITS, (LOGITS[:, :2], LOGITS[:, 1:]), *NORMED_OF_THREE),
    ),
    (F.gaussian_noise, "deviation", (0.0, 0.5), partial(F.gaussian_noise, KEY, LOGITS)),
    (F.gaussian_dropout, "rate", (0.0, 0.5), partial(F.gaussian_dropout, KEY, LOGITS)),
]
of_options = pytest.mark.parametrize(
    ("function", "name", "values", "call"), OPTIONS, ids=lambda x: getattr(x, "__name__", None)
)


@of_options
def test_a_traced_option_gives_the_concrete_result_and_a_gradient(function, name, values, call):
    traced = jax.jit(lambda value: (call(**{name: value}), jax.grad(lambda v: jnp.sum(call(**{name: v})))(value)))
    for value, concrete in zip(values, jax.jit(lambda: [call(**{name: v}) for v in values])(), strict=True):
        result, slope = traced(value)
        np.testing.assert_allclose(result, concrete, rtol=2e-6, atol=2e-6)
        assert np.isfinite(slope), value
    assert traced._cache_size() == 1


@of_options
def test_a_concrete_array_as_an_option_is_checked_as_the_number_is(function, name, values, call):
    """NaN lies in no range; what takes it as a number takes it as an array."""
    assert refusal(call, name, jnp.float32(jnp.nan)) == refusal(call, name, float("nan"))


# What stays a number of Python, and why.
FIXED: dict[str, str] = {
    "fjdl.functional.initializers": "initial values are drawn once, and neither learned nor scheduled",
    "fjdl.functional.pool.roi": "strides and sizes are those of a network; choices of levels and bins have no slope",
    "fjdl.functional.preprocessing.standardize": "what is known of a data set, divided in double precision on the "
    "host; `scaling.transform` takes traced ones",
}


def public(module: Any) -> Iterator[Callable[..., Any]]:
    """The functions that a package offers, and those of the modules that it offers."""
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    for member in (getattr(module, name) for name in names):
        if inspect.ismodule(member) and hasattr(module, "__path__"):
            yield from public(member)
        elif inspect.isfunction(member) and member.__module__.startswith(module.__name__):
            yield member


def numbers() -> Iterator[str]:
    """Every option of a public function that is a number, by its dotted name."""
    for function in public(F):
        for parameter in inspect.signature(function).parameters.values():
            if float in set(union(parameter.annotation)):
                yield dotted(function, parameter.name)


def dotted(function: Callable[..., Any], option: str) -> str:
    return f"{function.__module__}.{function.__name__}.{option}"


def test_every_number_may_be_traced_or_says_why_not():
    tabled = {dotted(function, name) for function, name, _, _ in OPTIONS}
    found = set(numbers())
    fixed = {name for name in found if name.startswith(tuple(FIXED))}
    assert found - fixed == tabled
    assert not [reason for reason in FIXED if not any(name.startswith(reason) for name in fixed)]


def in_double(call: Any) -> Any:
    args = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if hasattr(x, "dtype") else x, call.args)
    return partial(call.func, *args, **call.keywords)


SMOOTH = [row for row in OPTIONS if type(row[3]) is partial and not any(x is KEY for x in row[3].args)]


of_smooth = pytest.mark.parametrize(
    ("function", "name", "values", "call"), SMOOTH, ids=lambda x: getattr(x, "__name__", None)
)


@of_smooth
def test_first_and_second_derivatives_by_options_equal_finite_differences(function, name, values, call):
    with float64():
        double = in_double(call)

        def total(value):
            y = double(**{name: value})
            return jnp.sum(y * np.random.default_rng(1).standard_normal(y.shape))

        step = 1e-4
        around = values[len(values) // 2] + step * np.array([-1, 0, 1])
        curves = jax.jit(jax.vmap(lambda v: (total(v), jax.grad(total)(v), jax.grad(jax.grad(total))(v))))
        value, slope, bend = map(np.asarray, curves(around))
    np.testing.assert_allclose(slope[1], (value[2] - value[0]) / (2 * step), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(bend[1], (slope[2] - slope[0]) / (2 * step), rtol=1e-6, atol=1e-7)


@of_smooth
def test_in_shard_map_an_option_may_vary_with_the_data_or_not(function, name, values, call):
    def program(option, *args):
        return value_and_gradients(
            lambda option, x: call.func(x, *args[1:], **call.keywords, **{name: option}), option, args[0]
        )

    on_axes_of_their_own(program, jnp.float32(values[-1]), *call.args)


def test_slopes_by_options_are_their_limits_at_infinity_and_far_out():
    """Of softplus -H(σ(βx)) / β², by the entropy H; of elu eˣ - 1 below 0; of celu eᵗ - 1 - t eᵗ, t = x / α."""
    x = jnp.array([-jnp.inf, -1e30, -1e4, 0.0, 1e4, 1e30, jnp.inf])
    for function, option, expected in (
        (F.softplus, "beta", [0, 0, 0, -np.log(2) / 4, 0, 0, 0]),
        (F.elu, "alpha", [-1, -1, -1, 0, 0, 0, 0]),
        (F.celu, "alpha", [-1, -1, -1, 0, 0, 0, 0]),
        (F.softshrink, "threshold", [1, 1, 1, 0, -1, -1, -1]),
        (F.leaky_relu, "negative_slope", [-np.inf, -1e30, -1e4, 0, 0, 0, 0]),
    ):
        slopes = jax.jacfwd(lambda value, function=function, option=option: function(x, **{option: value}))(2.0)
        np.testing.assert_allclose(slopes, np.float32(expected), rtol=1e-6, err_msg=option)


def test_half_precision_sums_the_slope_of_an_option_in_float32():
    x = jnp.full(1000, -20.0, jnp.bfloat16)
    slope = jax.grad(lambda alpha: jnp.sum(F.elu(x, alpha=alpha).astype(jnp.float32)))(1.0)
    np.testing.assert_allclose(slope, -1000, rtol=1e-6)
