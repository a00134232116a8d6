import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from fjdl import losses
from tests.support import float64

INF, NAN = np.inf, np.nan

LOGITS = np.zeros((4, 10), np.float32)
LABELS = np.array([2, 3, 0, 1])


def value_and_gradient(loss, *arrays, transform=lambda f: f, **options):
    """The values per example and the gradients of their sum, one per floating-point array."""
    smooth = tuple(i for i, x in enumerate(arrays) if jnp.issubdtype(jnp.result_type(x), jnp.floating))

    def total(*arrays):
        values = loss(*arrays, **options)
        return jnp.sum(values), values

    gradients, values = transform(jax.grad(total, smooth, has_aux=True))(*map(jnp.asarray, arrays))
    return values, gradients


def torch_value_and_gradient(loss, *arrays):
    tensors = [torch.tensor(x, requires_grad=np.issubdtype(x.dtype, np.floating)) for x in arrays]
    values = loss(*tensors)
    values.sum().backward()
    return values.detach().numpy(), [x.grad.numpy() for x in tensors if x.requires_grad]


def assert_same_as_torch(ours, theirs, arrays, **options):
    with float64():
        values, gradients = value_and_gradient(ours, *arrays, transform=jax.jit, **options)
        assert values.dtype == jnp.float64
    expected_values, expected_gradients = torch_value_and_gradient(theirs, *arrays)
    np.testing.assert_allclose(values, expected_values, rtol=1e-12, atol=1e-12)
    for gradient, expected in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("classes", [1, 2, 7])
def test_softmax_cross_entropy_equals_torch_in_value_and_gradient(rng, smoothing, scale, classes):
    arrays = scale * rng.standard_normal((9, classes)), rng.integers(0, classes, 9)

    def theirs(x, y):
        return torch.nn.functional.cross_entropy(x, y, reduction="none", label_smoothing=smoothing)

    assert_same_as_torch(losses.softmax_cross_entropy, theirs, arrays, smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_logit_of_minus_infinity_is_a_class_of_probability_zero_as_in_torch(smoothing):
    arrays = np.array([[0.0, -INF, 1.0], [0.0, -INF, 1.0]]), np.array([0, 1])

    def theirs(x, y):
        return torch.nn.functional.cross_entropy(x, y, reduction="none", label_smoothing=smoothing)

    assert_same_as_torch(losses.softmax_cross_entropy, theirs, arrays, smoothing=smoothing)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_soft_cross_entropy_equals_torch_in_value_and_gradients(rng, scale):
    arrays = scale * rng.standard_normal((9, 5)), rng.dirichlet(np.ones(5), 9)
    assert_same_as_torch(
        losses.soft_cross_entropy, lambda x, t: torch.nn.functional.cross_entropy(x, t, reduction="none"), arrays
    )


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_sigmoid_cross_entropy_equals_torch_in_value_and_gradients(rng, scale):
    logits, targets = scale * rng.standard_normal((9, 5)), rng.uniform(size=(9, 5))
    logits[0, 0], targets[0] = 0.0, [0, 1, 0.5, 1, 0]
    assert_same_as_torch(
        losses.sigmoid_cross_entropy,
        lambda x, t: torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none"),
        (logits, targets),
    )


def test_small_sigmoid_losses_keep_their_digits_in_float32():
    values = losses.sigmoid_cross_entropy(np.float32([-20, 20, -80]), np.float32([0, 1, 0]))
    np.testing.assert_allclose(values, np.exp([-20.0, -20.0, -80.0]), rtol=1e-6)


def test_the_nan_of_a_wrong_label_survives_jit_vmap_and_forward_mode():
    logits, labels = jnp.zeros((2, 3)), jnp.array([1, -1])
    tangents = jax.jvp(lambda x: losses.softmax_cross_entropy(x, labels), (logits,), (jnp.ones((2, 3)),))[1]
    np.testing.assert_array_equal(np.isnan(tangents), [False, True])
    by_example = jax.jit(jax.vmap(jax.grad(losses.softmax_cross_entropy)))(logits, labels)
    np.testing.assert_array_equal(np.isnan(by_example), [[False] * 3, [True] * 3])


@pytest.mark.parametrize("dtype", [np.int32, np.int8, np.uint8])
@pytest.mark.parametrize("label", [-1, 3, 255])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_a_label_out_of_range_gives_nan_value_and_gradient_to_its_example_only(dtype, label, smoothing, transform):
    labels = np.array([1, label]).astype(dtype)  # int8 turns 255 into -1 and uint8 turns -1 into 255
    logits = np.float32([[1, 2, 3], [1, 2, 3]])
    values, (gradient,) = value_and_gradient(
        losses.softmax_cross_entropy, logits, labels, transform=transform, smoothing=smoothing
    )
    assert np.isfinite(values[0])
    assert np.isfinite(gradient[0]).all()
    assert np.isnan(values[1])
    assert np.isnan(gradient[1]).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_class_weights_and_an_ignored_label_equal_torch_in_value_and_gradients(rng, smoothing):
    arrays = rng.standard_normal((8, 3)), np.array([0, 1, 2, 255, 2, 0, 255, 1]), np.array([0.2, 0.0, 3.0])

    def ours(x, y, w):
        return losses.softmax_cross_entropy(x, y, class_weights=w, smoothing=smoothing, ignore_label=255)

    def theirs(x, y, w):
        return torch.nn.functional.cross_entropy(
            x, y, weight=w.detach(), label_smoothing=smoothing, ignore_index=255, reduction="none"
        )

    with float64():
        values, (gradient, _) = value_and_gradient(ours, *arrays)
    x = torch.tensor(arrays[0], requires_grad=True)
    expected = theirs(x, torch.tensor(arrays[1]), torch.tensor(arrays[2]))
    expected.sum().backward()
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(gradient, x.grad, rtol=1e-12, atol=1e-15)


def test_a_class_of_weight_zero_costs_nothing_even_at_a_logit_of_minus_infinity():
    weights = np.float32([0, 1])
    values, (gradient,) = value_and_gradient(
        lambda x, y: losses.softmax_cross_entropy(x, y, class_weights=weights), np.float32([[-INF, 0]]), np.array([0])
    )
    np.testing.assert_array_equal(values, [0])
    np.testing.assert_array_equal(gradient, [[0, 0]])


def test_the_ignored_label_may_be_a_class_and_other_labels_out_of_range_stay_nan():
    labels = np.array([0, 1, 255], np.uint8)
    values = losses.softmax_cross_entropy(np.zeros((3, 2), np.float32), labels, ignore_label=0)
    np.testing.assert_allclose(values, [0, np.log(2), NAN], rtol=1e-6)


def test_weights_of_positive_targets_equal_torch_in_value_and_gradients(rng):
    logits, targets, weight = 30 * rng.standard_normal((4, 3)), rng.uniform(size=(4, 3)), np.array([0.5, 1.0, 7.0])
    logits[0] = 0
    assert_same_as_torch(
        lambda x, t: losses.sigmoid_cross_entropy(x, t, pos_weight=weight),
        lambda x, t: torch.nn.functional.binary_cross_entropy_with_logits(
            x, t, pos_weight=torch.tensor(weight), reduction="none"
        ),
        (logits, targets),
    )


def test_weights_of_positive_targets_must_end_the_shape():
    with pytest.raises(ValueError, match=r"^the shape of pos_weight must be an ending of \(2, 3\), got \(2,\)$"):
        losses.sigmoid_cross_entropy(
            np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), pos_weight=np.ones(2, np.float32)
        )


def test_uint8_labels_work_with_more_classes_than_uint8_holds():
    with jax.numpy_dtype_promotion("strict"):
        values = losses.softmax_cross_entropy(jnp.zeros((2, 300)).at[:, 255].set(9.0), jnp.array([255, 1], jnp.uint8))
    np.testing.assert_allclose(values, np.log(299 + np.exp(9.0)) - np.array([9.0, 0.0]), atol=2e-6)


def test_soft_target_zero_at_a_logit_of_minus_infinity_costs_nothing_with_finite_gradients():
    values, gradients = value_and_gradient(
        losses.soft_cross_entropy, np.float32([[0, 0, -INF]]), np.float32([[0.5, 0.5, 0]])
    )
    np.testing.assert_allclose(values, [np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(gradients[0], [[0, 0, 0]], atol=1e-7)
    np.testing.assert_allclose(gradients[1], [[np.log(2), np.log(2), 0]], rtol=1e-6)


def test_gradient_at_a_soft_target_of_zero_is_minus_its_log_probability():
    _, gradients = value_and_gradient(losses.soft_cross_entropy, np.zeros((1, 2), np.float32), np.float32([[1, 0]]))
    np.testing.assert_allclose(gradients[1], np.full((1, 2), np.log(2)), rtol=1e-6)


def test_a_row_of_minus_infinity_costs_nothing_with_zero_gradient():
    logits = np.full((2, 3), -INF, np.float32)
    logits[1] = [1, 2, 3]
    values, (gradient,) = value_and_gradient(losses.softmax_cross_entropy, logits, np.array([0, 0]), smoothing=0.1)
    assert values[0] == 0
    assert values[1] > 0
    np.testing.assert_array_equal(gradient[0], np.zeros(3))
    assert np.isfinite(gradient[1]).all()


def test_a_logit_of_plus_infinity_takes_all_probability():
    logits = np.float32([[INF, 0, 1], [INF, 0, -INF]])
    values, (gradient,) = value_and_gradient(losses.softmax_cross_entropy, logits, np.array([0, 1]))
    np.testing.assert_array_equal(values, [0, INF])
    assert np.isfinite(gradient).all()


def test_infinite_sigmoid_logits_cost_zero_or_infinity_with_finite_gradient_of_the_logits():
    logits, targets = np.float32([INF, -INF, INF, -INF]), np.float32([1, 0, 0, 1])
    values, gradients = value_and_gradient(losses.sigmoid_cross_entropy, logits, targets)
    np.testing.assert_array_equal(values, [0, 0, INF, INF])
    np.testing.assert_array_equal(gradients[0], [0, 0, 1, -1])


def test_nan_logits_give_nan_to_their_example_only():
    values = losses.softmax_cross_entropy(np.float32([[NAN, 1], [0, 0]]), np.array([1, 1]))
    np.testing.assert_allclose(values, [NAN, np.log(2)], rtol=1e-6)
    assert np.isnan(losses.sigmoid_cross_entropy(np.float32([NAN]), np.float32([0]))).all()


def test_masked_classes_and_rows_raise_no_nan_even_inside():
    logits, targets = jnp.array([[0.0, -INF], [-INF, -INF]]), jnp.array([[1.0, 0.0], [0.5, 0.5]])
    with jax.debug_nans(True):
        values, gradients = value_and_gradient(losses.soft_cross_entropy, logits, targets)
    assert np.isfinite(values).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_large_vocabulary_in_bfloat16_is_computed_in_float32(rng):
    logits = jnp.asarray(rng.standard_normal((3, 50_000)), jnp.bfloat16)
    labels = np.array([0, 7, 49_999])
    values = losses.softmax_cross_entropy(logits, labels)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(np.asarray(logits, np.float64)), torch.tensor(labels), reduction="none"
    )
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_float16_logits_beyond_its_largest_sum_do_not_overflow():
    values = losses.softmax_cross_entropy(jnp.full((1, 70_000), 6e4, jnp.float16), np.array([3]))
    np.testing.assert_allclose(values, [np.log(70_000)], rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 4), (0, 2, 4)])
def test_an_empty_batch_has_no_losses(shape):
    assert losses.softmax_cross_entropy(np.zeros(shape, np.float32), np.zeros(shape[:-1], int)).shape == shape[:-1]
    assert losses.soft_cross_entropy(np.zeros(shape, np.float32), np.zeros(shape, np.float32)).shape == shape[:-1]
    assert losses.sigmoid_cross_entropy(np.zeros(shape, np.float32), np.zeros(shape, np.float32)).shape == shape


def test_without_classes_every_label_is_out_of_range():
    assert np.isnan(losses.softmax_cross_entropy(np.zeros((2, 0), np.float32), np.zeros(2, int))).all()


def test_a_column_against_a_row_is_refused_in_one_sentence():
    column, row = np.zeros((3, 1), np.float32), np.zeros(3, np.float32)
    with pytest.raises(
        ValueError, match=r"^sigmoid_cross_entropy: argument `targets` must be .*shape=\(3, 1\), got .*$"
    ):
        losses.sigmoid_cross_entropy(column, row)
    with pytest.raises(ValueError, match=r"^softmax_cross_entropy: argument `labels` must be .*batch=\(3,\), got .*$"):
        losses.softmax_cross_entropy(column, np.zeros((3, 1), int))


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 1.5, NAN])
def test_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=rf"^smoothing must lie in \[0, 1\), got {smoothing}$"):
        losses.softmax_cross_entropy(LOGITS, LABELS, smoothing=smoothing)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, (3, 4), elements=st.floats(-50, 50, width=32)), st.floats(-50, 50, width=32))
def test_softmax_cross_entropy_is_non_negative_and_ignores_a_shift_of_the_logits(logits, shift):
    values = losses.softmax_cross_entropy(logits, np.array([0, 1, 3]))
    assert (values >= 0).all()
    np.testing.assert_allclose(losses.softmax_cross_entropy(logits + shift, np.array([0, 1, 3])), values, atol=3e-5)
