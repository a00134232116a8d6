import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from fjdl import losses
from tests.support import float64

INF, NAN = np.inf, np.nan
VALUES = np.float32([1, 2, 4, 8])


def test_total_is_the_weighted_sum_and_the_sum_of_the_weights():
    assert losses.weighted_sum(VALUES) == (15, 4)
    assert losses.weighted_sum(VALUES, mask=np.array([True, False, True, False])) == (5, 2)
    assert losses.weighted_sum(VALUES, weights=np.float32([0.5, 0, 1, 2])) == (20.5, 3.5)
    assert losses.weighted_sum(VALUES, mask=np.array([1, 1, 0, 1]), weights=np.float32([0.5, 0, 1, 2])) == (16.5, 2.5)


def test_mean_divides_by_the_sum_of_the_selected_weights():
    assert losses.mean(VALUES) == 3.75
    assert losses.mean(VALUES, mask=np.float32([1, 0, 1, 0])) == 2.5
    assert losses.mean(VALUES, mask=np.array([True, True, False, True]), weights=np.float32([0.5, 0, 1, 2])) == 6.6


def test_mean_weighted_by_class_equals_torch_in_value_and_gradient(rng):
    logits, labels, by_class = rng.standard_normal((8, 3)), rng.integers(0, 3, 8), np.array([0.2, 1.0, 3.0])
    tensor = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(tensor, torch.tensor(labels), weight=torch.tensor(by_class))
    expected.backward()

    def ours(logits):
        return losses.mean(losses.softmax_cross_entropy(logits, labels), weights=by_class[labels])

    with float64():
        value, gradient = jax.value_and_grad(ours)(jnp.asarray(logits))
    np.testing.assert_allclose(value, expected.item(), rtol=1e-13)
    np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-12, atol=1e-15)


def test_smoothed_loss_with_a_mask_equals_torch_with_ignore_index(rng):
    logits, labels = rng.standard_normal((6, 4)), np.array([0, 255, 3, 1, 255, 2])
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(logits), torch.tensor(labels), ignore_index=255, label_smoothing=0.1
    )
    with float64():
        value = losses.mean(losses.softmax_cross_entropy(logits, labels, smoothing=0.1), mask=labels != 255)
    np.testing.assert_allclose(value, expected, rtol=1e-13)


@pytest.mark.parametrize("options", [{"mask": np.zeros(4, bool)}, {"weights": np.zeros(4, np.float32)}])
def test_the_mean_of_nothing_is_zero_with_zero_gradient(options):
    value, gradient = jax.value_and_grad(lambda v: losses.mean(v, **options))(VALUES)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(4))


def test_empty_input_has_total_and_mean_zero():
    assert losses.weighted_sum(np.zeros((0, 3), np.float32)) == (0, 0)
    assert losses.mean(np.zeros((0, 3), np.float32)) == 0


@pytest.mark.parametrize("options", [{"mask": np.array([1, 0, 0, 1])}, {"weights": np.float32([1, 0, 0, 1])}])
def test_nan_and_infinity_that_are_left_out_reach_neither_value_nor_gradient(options):
    value, gradient = jax.value_and_grad(lambda v: losses.mean(v, **options))(np.float32([1, NAN, INF, 3]))
    assert value == 2
    np.testing.assert_array_equal(gradient, [0.5, 0, 0, 0.5])


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_an_example_with_a_label_out_of_range_has_zero_gradient_when_masked(transform):
    def loss(logits):
        return losses.mean(losses.softmax_cross_entropy(logits, np.array([0, 255])), mask=np.array([True, False]))

    value, gradient = transform(jax.value_and_grad(loss))(jnp.zeros((2, 2)))
    assert value == pytest.approx(np.log(2))
    np.testing.assert_allclose(gradient, [[-0.5, 0.5], [0, 0]])


def test_nan_weights_of_masked_entries_do_not_count():
    assert losses.mean(VALUES, mask=np.array([1, 0, 1, 1]), weights=np.float32([1, NAN, 1, 1])) == pytest.approx(13 / 3)


def test_selected_nan_is_not_hidden():
    assert np.isnan(losses.mean(np.float32([1, NAN])))


def test_sums_of_bfloat16_values_are_kept_in_float32():
    total, count = losses.weighted_sum(jnp.ones(1000, jnp.bfloat16), weights=jnp.ones(1000, jnp.bfloat16))
    assert (total.dtype, count.dtype) == (jnp.float32, jnp.float32)
    assert (total, count) == (1000, 1000)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-100, 100, width=32), st.integers(0, 1)), min_size=1), st.integers(1, 5))
def test_totals_of_parts_add_up_to_the_mean_of_the_whole(entries, parts):
    values, mask = np.float32([v for v, _ in entries]), np.array([m for _, m in entries])
    pairs = zip(np.array_split(values, parts), np.array_split(mask, parts), strict=True)
    total, count = np.sum([losses.weighted_sum(v, mask=m) for v, m in pairs], axis=0)
    assert count == mask.sum()
    np.testing.assert_allclose(total / max(count, 1), losses.mean(values, mask=mask), rtol=1e-5, atol=1e-5)


def test_a_mask_or_weights_of_another_shape_are_refused_in_one_sentence():
    for name in ("mask", "weights"):
        with pytest.raises(ValueError, match=rf"^mean: argument `{name}` must be .*shape=\(4,\), got .*$"):
            losses.mean(VALUES, **{name: np.ones((4, 1), np.float32)})
