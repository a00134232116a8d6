"""Two layers whose channels are scaled against each other, and biases that take back a shift."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import functional as F, quant


def normals(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def uneven(*shape: int, seed: int) -> np.ndarray:
    """Channels of the last axis whose ranges differ by powers of ten."""
    return normals(*shape, seed=seed) * 10.0 ** np.linspace(-2, 2, shape[-1]).astype(np.float32)


def dense_pair(first: jax.Array, bias: jax.Array, second: jax.Array) -> jax.Array:
    return F.linear(F.relu(F.linear(normals(50, 5, seed=9), first, bias)), second)


def convolutions(first: jax.Array, bias: jax.Array, second: jax.Array, *, groups: int) -> jax.Array:
    between = F.max_pool2d(F.leaky_relu(F.conv2d(normals(2, 6, 6, 3, seed=9), first, bias)), window=2)
    return F.conv2d(between, second, groups=groups)


def flattened(first: jax.Array, bias: jax.Array, second: jax.Array) -> jax.Array:
    return F.linear(F.relu(F.conv2d(normals(3, 2, 2, 3, seed=9), first, bias)).reshape(3, -1), second)


PAIRS = {
    "dense": (dense_pair, (5, 4), (4, 7), 1),
    "convolutions": (partial(convolutions, groups=1), (3, 3, 3, 4), (2, 2, 4, 6), 1),
    "groups": (partial(convolutions, groups=2), (3, 3, 3, 4), (2, 2, 2, 6), 2),
    "depthwise": (partial(convolutions, groups=4), (3, 3, 3, 4), (2, 2, 1, 8), 4),
    "flattened": (flattened, (1, 1, 3, 4), (16, 5), 1),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_outputs_stay_and_ranges_become_equal(pair: str) -> None:
    network, *shapes, groups = PAIRS[pair]
    kernels = uneven(*shapes[0], seed=0), normals(*shapes[1], seed=1)
    bias = normals(4, seed=2)
    found = quant.equalize_layers(*kernels, bias=bias, groups=groups)
    expected = network(kernels[0], bias, kernels[1])
    np.testing.assert_allclose(
        network(found.kernel, found.bias, found.next_kernel), expected, atol=3e-6 * np.abs(expected).max()
    )
    first = np.abs(found.kernel).reshape(-1, 4).max(0)
    second = np.array([reading(np.abs(found.next_kernel), c, groups=groups).max() for c in range(4)])
    np.testing.assert_allclose(first, second, rtol=1e-5)
    np.testing.assert_allclose(
        quant.equalize_layers(found.kernel, found.next_kernel, groups=groups).scale, 1.0, rtol=1e-5
    )


def reading(kernel: np.ndarray, channel: int, *, groups: int) -> np.ndarray:
    """The weights that read one channel of four, found by hand."""
    each = 4 // groups
    outputs = kernel.shape[-1] // groups
    columns = slice(channel // each * outputs, (channel // each + 1) * outputs)
    return kernel.reshape(-1, each, kernel.shape[-1])[:, channel % each, columns]


def test_the_scale_is_that_of_the_paper() -> None:
    first, second = uneven(5, 4, seed=0), normals(4, 7, seed=1)
    r1, r2 = np.abs(first).max(0), np.abs(second).max(1)
    np.testing.assert_allclose(quant.equalize_layers(first, second).scale, np.sqrt(r1 * r2) / r2, rtol=1e-6)


@pytest.mark.by_day_on_pin(1)
def test_one_grid_for_a_whole_kernel_costs_less_once_ranges_are_equal() -> None:
    factors, bias = np.float32([0.01, 1.0, 10.0, 100.0]), np.zeros(4, np.float32)
    first, second = normals(5, 4, seed=0) * factors, normals(4, 7, seed=1) / factors[:, None]

    def error(first: jax.Array, second: jax.Array) -> float:
        rough = [quant.dequantize(quant.absmax_quantize(k, bits=4)) for k in (first, second)]
        return float(jnp.mean(jnp.square(dense_pair(rough[0], bias, rough[1]) - dense_pair(first, bias, second))))

    found = quant.equalize_layers(first, second)
    assert error(found.kernel, found.next_kernel) < 0.5 * error(jnp.asarray(first), jnp.asarray(second))


def test_channels_without_range_and_huge_ones_keep_finite_weights() -> None:
    first, second = np.float32([[0.0, 3.0, 1e38]]), np.float32([[2.0], [0.0], [1e38]])
    found = quant.equalize_layers(first, second)
    np.testing.assert_allclose(found.scale, [1, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(found.kernel, first, rtol=1e-6)
    assert found.bias is None


@pytest.mark.parametrize(
    ("shapes", "groups", "sentence"),
    [
        (((5, 4), (3, 7)), 1, r"next_kernel must read the 4 channels in 1 groups, got shape \(3, 7\)"),
        (((5, 4), (1, 4, 8)), 2, r"next_kernel must read the 4 channels in 2 groups, got shape \(1, 4, 8\)"),
        (((5, 4), (2, 7)), 2, "groups must divide 4 and 7 output channels, got 2"),
        (((0, 4), (4, 7)), 1, "kernels must have input and output channels and no empty axis"),
    ],
)
def test_channels_that_do_not_fit_are_refused(shapes: tuple, groups: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        quant.equalize_layers(*(np.ones(shape, np.float32) for shape in shapes), groups=groups)


def test_a_corrected_bias_gives_the_mean_of_the_outputs_before() -> None:
    x, kernel, bias = 1 + normals(40, 6, seed=0), normals(6, 3, seed=1), normals(3, seed=2)
    rough = quant.dequantize(quant.absmax_quantize(kernel, bits=3))
    outputs, changed = F.linear(x, kernel, bias), F.linear(x, rough, bias)
    corrected = F.linear(x, rough, quant.correct_bias(bias, outputs, changed))
    assert np.abs(np.mean(changed - outputs, axis=0)).max() > 0.05
    np.testing.assert_allclose(corrected.mean(0), outputs.mean(0), atol=1e-5)
    by_means = quant.correct_bias_by_means(bias, kernel, rough, x.mean(0))
    np.testing.assert_allclose(F.linear(x, rough, by_means).mean(0), outputs.mean(0), atol=1e-5)


def test_examples_that_do_not_count_do_not_move_a_bias() -> None:
    outputs, changed = normals(4, 5, 3, seed=0), normals(4, 5, 3, seed=1)
    changed[3] = np.nan
    found = quant.correct_bias(jnp.zeros(3), outputs, changed, weights=np.array([True, True, True, False]))
    np.testing.assert_allclose(found, (outputs - changed)[:3].mean((0, 1)), rtol=1e-4, atol=1e-6)
    none = quant.correct_bias(jnp.ones(3), outputs, changed, weights=np.zeros(4, bool))
    np.testing.assert_array_equal(none, np.ones(3))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_bias_by_means_is_exact_for_a_convolution_of_constant_channels(groups: int) -> None:
    kernel, means, bias = normals(3, 3, 4 // groups, 6, seed=0), normals(4, seed=1), normals(6, seed=2)
    changed = kernel + 0.1 * normals(*kernel.shape, seed=3)
    x = np.broadcast_to(means, (1, 3, 3, 4))
    convolve = partial(F.conv2d, jnp.asarray(x), padding="VALID", groups=groups)
    found = quant.correct_bias_by_means(bias, kernel, changed, means, groups=groups)
    np.testing.assert_allclose(convolve(changed, found), convolve(kernel, bias), rtol=1e-4, atol=1e-5)


def test_means_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="of 2 groups must have outputs that they divide and 8 means, got 4"):
        quant.correct_bias_by_means(jnp.zeros(2), jnp.ones((4, 2)), jnp.ones((4, 2)), jnp.ones(4), groups=2)


def test_the_mean_of_rectified_normals_is_that_of_many_draws() -> None:
    mean, deviation = np.float32([-1.0, 0.0, 2.0, 5.0]), np.float32([0.5, 1.0, 3.0, 2.0])
    draws = mean + deviation * normals(400_000, 4, seed=0)
    np.testing.assert_allclose(quant.rectified_mean(mean, deviation), np.maximum(draws, 0).mean(0), atol=0.02)
    np.testing.assert_allclose(quant.rectified_mean(mean, deviation, top=6.0), np.clip(draws, 0, 6).mean(0), atol=0.02)


def test_without_deviation_it_is_the_rectified_mean_itself() -> None:
    found = quant.rectified_mean(jnp.array([-1.0, 2.0, 9.0]), jnp.zeros(3), top=6.0)
    np.testing.assert_array_equal(found, [0, 2, 6])
