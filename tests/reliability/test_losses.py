"""Faults that losses of other libraries had, and what must hold instead; numbers are those of the list of faults."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import NamedSharding, PartitionSpec

from fjdl.losses import classification, divergence, focal, margin, probabilities, regression
from fjdl.losses.reduce import mean, weighted_sum
from fjdl.losses.weights import example_weights
from tests.support import float64

INF, NAN = np.inf, np.nan


def values_and_gradient(loss, x, *rest):
    """The values per example and the gradient of their sum with respect to the first array."""

    @jax.jit
    def both(x):
        values, vjp = jax.vjp(lambda x: loss(x, *rest), x)
        return values, vjp(jnp.ones_like(values))[0]

    return both(jnp.asarray(x))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_r01_focal_losses_are_finite_and_equal_float64_up_to_logits_of_1e4(gamma):
    x = np.float32([-1e4, -200, -90, -20, -1e-6, 0, 0.3, 20, 90, 200, 1e4])
    x, t = np.concatenate([x, x]), np.repeat(np.float32([0, 1]), 11)
    rows = np.stack([np.zeros(22, np.float32), x], axis=-1)
    sigmoid = values_and_gradient(lambda x: focal.sigmoid_focal_loss(x, t, gamma=gamma), x)
    softmax = values_and_gradient(lambda x: focal.softmax_focal_loss(x, t.astype(int), gamma=gamma), rows)
    z = np.where(t == 1, x, -x).astype(np.float64)
    nats, log_miss = np.logaddexp(0, -z), -np.logaddexp(0, z)
    value = np.exp(gamma * log_miss) * nats
    slope = np.where(t == 1, -1, 1) * np.exp(gamma * log_miss) * (np.exp(log_miss) + gamma * np.exp(-nats) * nats)
    np.testing.assert_allclose(sigmoid[0], value, rtol=2e-6, atol=1e-37)
    np.testing.assert_allclose(sigmoid[1], slope, rtol=4e-6, atol=1e-37)
    np.testing.assert_allclose(softmax[0], value, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(softmax[1], np.stack([-slope, slope], axis=-1), rtol=2e-6, atol=3e-7)


def test_r02_a_soft_label_of_0_at_a_logit_of_minus_infinity_costs_nothing():
    values, gradient = values_and_gradient(
        lambda x: classification.soft_cross_entropy(x, np.float32([[0.5, 0.5, 0]])), np.float32([[0, 0, -INF]])
    )
    np.testing.assert_allclose(values, [np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0, 0]], atol=1e-7)


@pytest.mark.parametrize("loss", [classification.softmax_cross_entropy, focal.softmax_focal_loss])
def test_r03_a_row_of_minus_infinity_costs_nothing_and_a_mask_keeps_it_out_of_the_mean(loss):
    x, labels = np.float32([[-INF, -INF], [0, 0]]), np.array([0, 1])
    values, gradient = values_and_gradient(lambda x: loss(x, labels), x)
    assert values[0] == 0
    np.testing.assert_array_equal(gradient[0], [0, 0])
    assert np.isfinite(gradient).all()
    assert weighted_sum(values, mask=np.any(x > -INF, axis=-1)) == (values[1], 1)


ON_LABELS = {
    "cross entropy": classification.softmax_cross_entropy,
    "focal": lambda x, y: focal.softmax_focal_loss(x, y, gamma=0.5),
    "hinge": margin.multi_margin_loss,
    "probabilities": probabilities.sparse_categorical_cross_entropy,
}


def assert_only_the_second_example_is_nan(loss, labels):
    values, gradient = values_and_gradient(lambda x: loss(x, labels), np.full((2, 3), 0.25, np.float32))
    np.testing.assert_array_equal(np.isnan(values), [False, True])
    np.testing.assert_array_equal(np.isnan(gradient), [[False] * 3, [True] * 3])


@pytest.mark.parametrize("name", ON_LABELS)
def test_r04_label_minus_1_is_not_the_last_class_but_nan(name):
    assert_only_the_second_example_is_nan(ON_LABELS[name], np.array([2, -1]))


@pytest.mark.parametrize("name", ON_LABELS)
def test_r05_label_255_is_nan_in_value_and_gradient(name):
    assert_only_the_second_example_is_nan(ON_LABELS[name], np.array([2, 255], np.uint8))


def mean_and_count(x, labels):
    values = classification.softmax_cross_entropy(x, labels, ignore_label=255)
    weights = example_weights(labels, ignore_label=255)
    return mean(values, weights=weights), weighted_sum(values, weights=weights)[1]


def test_r06_with_all_labels_ignored_mean_gradient_and_count_are_0():
    labels = np.full(2, 255)
    (value, count), gradient = jax.jit(jax.value_and_grad(lambda x: mean_and_count(x, labels), has_aux=True))(
        jnp.array([[1.0, NAN], [INF, 2.0]])
    )
    assert (value, count) == (0, 0)
    np.testing.assert_array_equal(gradient, np.zeros((2, 2)))


def test_r07_a_target_of_0_at_a_log_probability_of_minus_infinity_costs_nothing():
    x, t = np.float32([[0, -INF], [0, -INF]]), jnp.array([[1.0, 0.0], [0.5, 0.5]])
    values, gradient = values_and_gradient(lambda x: divergence.kl_divergence_with_logits(x, t), x)
    np.testing.assert_array_equal(values, [0, INF])
    assert np.isfinite(gradient).all()
    wrt_targets = values_and_gradient(lambda t: divergence.kl_divergence_with_logits(x, t), t)[1]
    np.testing.assert_array_equal(wrt_targets[0], [1, 0])


def test_r08_infinite_logits_cost_0_or_infinity_and_no_gradient_of_probabilities_exceeds_1_over_eps():
    x, t = np.float32([INF, -INF, INF, -INF]), np.float32([1, 0, 0, 1])
    values, gradient = values_and_gradient(lambda x: classification.sigmoid_cross_entropy(x, t), x)
    np.testing.assert_array_equal(values, [0, 0, INF, INF])
    np.testing.assert_array_equal(gradient, [0, 0, 1, -1])
    p = np.float32([0, 1, 1e-30, 1e-12])
    values, gradient = values_and_gradient(lambda p: probabilities.binary_cross_entropy(p, 1 - p), p)
    assert np.isfinite(values).all()
    assert (np.abs(gradient) <= 1.01e12).all()


def test_r13_huber_is_delta_times_smooth_l1_with_continuous_value_and_slope():
    error = np.float32([[-1], [0], [1], [np.nextafter(np.float32(2), 0)], [2], [2.000001], [1e30], [-1e30]])
    wide = values_and_gradient(lambda e: regression.huber_loss(e, np.zeros_like(error), delta=2.0), error)
    smooth = values_and_gradient(lambda e: regression.smooth_l1_loss(e, np.zeros_like(error), beta=2.0), error)
    np.testing.assert_allclose(wide[0][:4], [0.5, 0, 0.5, 2], rtol=1e-6)
    np.testing.assert_allclose(wide[0][3:6], [2, 2, 2], rtol=2e-6)
    np.testing.assert_allclose(wide[1][:, 0], [-1, 0, 1, 2, 2, 2, 2, -2], rtol=1e-6)
    np.testing.assert_allclose(wide[0], 2 * smooth[0], rtol=1e-6)
    np.testing.assert_allclose(wide[1], 2 * smooth[1], rtol=1e-6)
    assert smooth[0][2] == 0.25


def test_r14_log_cosh_does_not_overflow():
    error = np.float32([[89], [-89], [1e4], [3e38]])
    values, gradient = values_and_gradient(lambda e: regression.log_cosh_loss(e, np.zeros_like(error)), error)
    np.testing.assert_allclose(values, np.abs(error[:, 0]) - np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(gradient[:, 0], [1, -1, 1, 1])


PAIRWISE = [
    regression.mse_loss, regression.mae_loss, regression.huber_loss, regression.smooth_l1_loss,
    regression.log_cosh_loss, regression.poisson_nll_loss,
    lambda p, t: regression.quantile_loss(p, t, quantiles=0.5), classification.soft_cross_entropy,
    classification.sigmoid_cross_entropy, probabilities.binary_cross_entropy, probabilities.categorical_cross_entropy,
    divergence.kl_divergence, divergence.kl_divergence_with_logits, divergence.js_divergence,
    margin.hinge_loss, margin.squared_hinge_loss, focal.sigmoid_focal_loss,
]  # fmt: skip


@pytest.mark.parametrize("loss", PAIRWISE)
def test_r16_a_column_against_a_row_is_refused_with_both_shapes(loss):
    with pytest.raises(ValueError, match=r"^\w+: argument `\w+` must be .*3.*, got .*\[3\]"):
        loss(np.zeros((3, 1), np.float32), np.zeros(3, np.float32))


def test_r17_accumulated_sums_and_counts_give_the_mean_whatever_the_split(rng):
    x, labels = rng.standard_normal((8, 3)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2, 0, 1])
    mask = np.array([1, 0, 0, 0, 1, 1, 1, 1])

    def part(x, labels, mask):
        return weighted_sum(classification.softmax_cross_entropy(x, labels), mask=mask)

    whole = jax.value_and_grad(lambda x: mean(classification.softmax_cross_entropy(x, labels), mask=mask))(x)
    for parts in (2, 8):
        split = [a.reshape(parts, -1, *a.shape[1:]) for a in (x, labels, mask)]
        (sums, counts), gradients = jax.jit(jax.vmap(jax.value_and_grad(part, has_aux=True)))(*split)
        np.testing.assert_allclose(sums.sum() / counts.sum(), whole[0], rtol=1e-6)
        np.testing.assert_allclose(gradients.reshape(8, 3) / counts.sum(), whole[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("classes", [1, 4])
def test_r18_smoothing_spreads_over_all_classes_as_in_torch_also_with_one_class_and_ignored_labels(rng, classes):
    x, labels = rng.standard_normal((4, classes)), np.array([0, 255, classes - 1, 255])
    logits = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        logits, torch.tensor(labels), label_smoothing=0.2, ignore_index=255, reduction="none"
    )
    expected.sum().backward()
    with float64():
        values, gradient = values_and_gradient(
            lambda x: classification.softmax_cross_entropy(x, labels, smoothing=0.2, ignore_label=255), x
        )
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(gradient, logits.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_r19_losses_of_halves_are_computed_in_float32(rng, dtype):
    x, labels = jnp.asarray(rng.standard_normal((2, 50_000)), dtype), np.array([7, 49_999])
    values = jax.jit(classification.softmax_cross_entropy)(x, labels)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(np.asarray(x, np.float64)), torch.tensor(labels), reduction="none"
    )
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    ones = jnp.ones(70_000, dtype)
    assert weighted_sum(ones) == (70_000, 70_000)
    assert regression.mae_loss(100 * ones[None], 0 * ones[None]) == 100


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_row40_a_label_out_of_range_is_nan_in_the_mean_and_its_gradient(label):
    def loss(x):
        return mean(classification.softmax_cross_entropy(x, np.array([0, label])))

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.zeros((2, 3)))
    assert np.isnan(value)
    np.testing.assert_array_equal(np.isnan(gradient), [[False] * 3, [True] * 3])


def test_row41_the_mean_is_right_across_4_devices_one_of_which_has_only_ignored_labels(rng):
    x, labels = rng.standard_normal((8, 3)).astype(np.float32), np.array([0, 255, 255, 255, 1, 2, 255, 0])
    mesh = jax.make_mesh((4,), ("data",), devices=jax.devices()[:4])
    placed = jax.device_put((x, labels), NamedSharding(mesh, PartitionSpec("data")))
    step = jax.jit(jax.value_and_grad(mean_and_count, has_aux=True))
    (value, count), gradient = step(*placed)
    expected = torch.nn.functional.cross_entropy(torch.tensor(x), torch.tensor(labels), ignore_index=255)
    assert count == 4
    assert value == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_array_equal(np.asarray(gradient)[1:4], np.zeros((3, 3)))

    def on_device(x, labels):
        values = classification.softmax_cross_entropy(x, labels, ignore_label=255)
        return jax.lax.psum(weighted_sum(values, weights=example_weights(labels, ignore_label=255)), "data")

    sums = jax.jit(jax.shard_map(on_device, mesh=mesh, in_specs=PartitionSpec("data"), out_specs=PartitionSpec()))(
        *placed
    )
    assert sums[1] == 4
    assert sums[0] / sums[1] == pytest.approx(expected.item(), rel=1e-6)
