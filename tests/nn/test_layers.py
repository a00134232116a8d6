from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

from fjdl.functional import initializers
from fjdl.nn import Conv, Dense, Dropout

KEY = jax.random.key(0)


def init(module: linen.Module, x: Any, **options: Any) -> dict[str, Any]:
    return jax.jit(partial(module.init, **options))(KEY, x).get("params", {})


def apply(module: linen.Module, params: Any, x: Any, **options: Any) -> Any:
    return module.apply({"params": params}, x, **options)


def random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def test_dense_equals_torch(rng: np.random.Generator) -> None:
    x = random(rng, 2, 3, 5)
    params = {"kernel": random(rng, 5, 7), "bias": random(rng, 7)}
    expected = torch.nn.functional.linear(*map(torch.tensor, (x, params["kernel"].T, params["bias"])))
    np.testing.assert_allclose(apply(Dense(7), params, x), expected, rtol=1e-5, atol=1e-6)


def test_dense_declares_a_kernel_of_inputs_by_features_and_a_bias_of_zeros() -> None:
    params = init(Dense(7), jnp.ones((2, 5)))
    assert {name: (p.shape, p.dtype) for name, p in params.items()} == {
        "kernel": ((5, 7), jnp.float32),
        "bias": ((7,), jnp.float32),
    }
    assert not params["bias"].any()


def test_the_kernels_spread_is_lecuns() -> None:
    dense = init(Dense(400), jnp.ones((1, 100)))["kernel"]
    conv = init(Conv(400, window=5), jnp.ones((1, 8, 8, 4)))["kernel"]
    np.testing.assert_allclose((jnp.std(dense), jnp.std(conv)), 0.1, rtol=0.02)


def test_initializers_can_be_chosen() -> None:
    ones, twos = initializers.ones(), initializers.constant(2.0)
    for module, x in (
        (Dense(3, kernel_init=ones, bias_init=twos), jnp.ones((1, 2))),
        (Conv(3, window=1, kernel_init=ones, bias_init=twos), jnp.ones((1, 4, 4, 2))),
    ):
        np.testing.assert_array_equal(apply(module, init(module, x), x), np.full((*x.shape[:-1], 3), 4.0))


@pytest.mark.parametrize(
    ("module", "shape"), [(Dense(3, use_bias=False), (2, 5)), (Conv(3, 2, use_bias=False), (2, 4, 4, 5))]
)
def test_without_a_bias_there_is_only_a_kernel_and_zero_gives_zero(
    module: linen.Module, shape: tuple[int, ...]
) -> None:
    params = init(module, jnp.ones(shape))
    assert params.keys() == {"kernel"}
    assert not jnp.any(apply(module, params, jnp.zeros(shape)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": (2, 1), "padding": ((2, 2), (0, 0)), "dilation": (1, 2)},
        {"groups": 2, "padding": "VALID"},
    ],
    ids=str,
)
def test_conv_equals_torch(rng: np.random.Generator, options: dict[str, Any]) -> None:
    module = Conv(6, window=(3, 3), **options)
    x = random(rng, 2, 9, 8, 4)
    params = {"kernel": random(rng, 3, 3, 4 // module.groups, 6), "bias": random(rng, 6)}
    assert jax.eval_shape(module.init, KEY, x)["params"]["kernel"].shape == params["kernel"].shape
    torch_padding = {None: "same", "VALID": 0, 1: 1, ((2, 2), (0, 0)): (2, 0)}[options.get("padding")]
    expected = torch.nn.functional.conv2d(
        torch.tensor(x.transpose(0, 3, 1, 2)),
        torch.tensor(params["kernel"].transpose(3, 2, 0, 1)),
        torch.tensor(params["bias"]),
        **{**options, "padding": torch_padding},
    )
    actual = apply(module, params, x)
    np.testing.assert_allclose(actual, expected.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("module", "shape"), [(Dense(3), (2, 5)), (Conv(3, window=3), (2, 4, 4, 5))])
def test_a_layer_computes_in_the_dtype_of_its_input_on_float32_parameters(
    module: linen.Module, shape: tuple[int, ...]
) -> None:
    x = jax.random.normal(KEY, shape)
    params = init(module, x.astype(jnp.bfloat16))
    assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    half = apply(module, params, x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), apply(module, params, x), rtol=0.03, atol=0.03)


def test_dropout_is_the_identity_outside_of_training_and_needs_no_key() -> None:
    x = jnp.ones((4, 8))
    assert apply(Dropout(0.5), {}, x, train=False) is x
    assert apply(Dropout(0.0), {}, x, train=True) is x
    assert init(Dropout(0.5), x, train=False) == {}


def test_dropout_keeps_what_its_key_says_and_scales_it() -> None:
    x = jnp.ones((40, 50))
    first, again, other = (
        np.asarray(apply(Dropout(0.2), {}, x, train=True, rngs={"dropout": jax.random.key(seed)})) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert set(np.unique(first)) == {0, np.float32(1.25)}
    assert abs((first == 0).mean() - 0.2) < 0.03


def test_two_dropouts_of_one_network_drop_different_entries() -> None:
    class Twice(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            return Dropout(0.5)(x, train=True), Dropout(0.5)(x, train=True)

    first, second = Twice().apply({}, jnp.ones((10, 10)), rngs={"dropout": KEY})
    assert jnp.any(first != second)


def test_dropout_of_everything_gives_zeros_with_zero_gradient() -> None:
    def total(x: Any) -> Any:
        return jnp.sum(apply(Dropout(1.0), {}, x, train=True, rngs={"dropout": KEY}))

    value, gradient = jax.value_and_grad(total)(jnp.ones((3, 3)))
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_dropout_refuses_a_rate_that_is_no_probability(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must lie in") as error:
        apply(Dropout(rate), {}, jnp.ones((2, 2)), train=True, rngs={"dropout": KEY})
    assert str(error.value) == f"rate must lie in [0, 1], got {rate}"


def test_dropout_without_a_key_is_refused_in_training() -> None:
    with pytest.raises(Exception, match="dropout"):
        apply(Dropout(0.5), {}, jnp.ones((2, 2)), train=True)
