import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional import linear
from tests.support import float64


def arrays(rng, *batch, inputs=5, outputs=3):
    return rng.standard_normal((*batch, inputs)), rng.standard_normal((inputs, outputs)), rng.standard_normal(outputs)


@jax.jit
def pulled_back(cotangent, *operands):
    """The value and the gradients for this cotangent."""
    y, pullback = jax.vjp(linear, *operands)
    return y, *pullback(cotangent)


def torch_linear(x, kernel, bias=None):
    return torch.nn.functional.linear(x, kernel.T, bias)


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3)], ids=str)
def test_value_and_gradients_equal_torch(batch, rng):
    operands = arrays(rng, *batch)
    tensors = [torch.tensor(a, requires_grad=True) for a in operands]
    y = torch_linear(*tensors)
    cotangent = rng.standard_normal(tuple(y.shape))
    y.backward(torch.tensor(cotangent))
    with float64():
        actual, *gradients = pulled_back(cotangent, *operands)
    np.testing.assert_allclose(actual, y.detach(), rtol=1e-12, atol=1e-13)
    for ours, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, np.asarray(tensor.grad), rtol=1e-12, atol=1e-13)


def test_a_missing_bias_is_no_bias(rng):
    x, kernel, _ = arrays(rng, 4)
    with float64():
        np.testing.assert_allclose(linear(x, kernel), torch_linear(torch.tensor(x), torch.tensor(kernel)), rtol=1e-12)


def test_tangents_follow_the_product_rule(rng):
    (x, kernel, bias), (dx, dkernel, dbias) = operands, tangents = arrays(rng, 4), arrays(rng, 4)
    with float64():
        value, tangent = jax.jvp(linear, operands, tangents)
    np.testing.assert_allclose(value, x @ kernel + bias, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(tangent, dx @ kernel + x @ dkernel + dbias, rtol=1e-12, atol=1e-13)


def test_the_hessian_equals_torch(rng):
    x, kernel, bias = arrays(rng, 2, inputs=3, outputs=2)
    with float64():
        actual = jax.jit(jax.hessian(lambda k, b: jnp.sum(jnp.tanh(linear(x, k, b))), (0, 1)))(kernel, bias)
    expected = torch.autograd.functional.hessian(
        lambda k, b: torch.tanh(torch_linear(torch.tensor(x), k, b)).sum(), (torch.tensor(kernel), torch.tensor(bias))
    )
    for ours, theirs in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-13)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 2)], ids=str)
def test_vmap_of_value_and_gradients_equals_torch(axes, rng):
    x, kernel, _ = arrays(rng, 4)
    xs = x if axes[0] is None else np.stack([x * (i + 1) for i in range(3)], axes[0])
    kernels = kernel if axes[1] is None else np.stack([kernel + i for i in range(3)], axes[1])

    def gradients(x, kernel):
        return jax.grad(lambda *a: jnp.sum(linear(*a) ** 2), (0, 1))(x, kernel)

    with float64():
        actual = jax.jit(jax.vmap(gradients, axes))(xs, kernels)
    for i in range(3):
        tensors = [
            torch.tensor(a if axis is None else np.take(a, i, axis), requires_grad=True)
            for a, axis in ((xs, axes[0]), (kernels, axes[1]))
        ]
        (torch_linear(*tensors) ** 2).sum().backward()
        for ours, tensor in zip(actual, tensors, strict=True):
            np.testing.assert_allclose(ours[i], np.asarray(tensor.grad), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("batch", "inputs", "outputs"), [((0,), 3, 2), ((2, 0), 3, 2), ((4,), 0, 2), ((4,), 3, 0)])
def test_empty_batches_and_features_give_empty_sums(batch, inputs, outputs):
    x, kernel, bias = np.ones((*batch, inputs)), np.ones((inputs, outputs)), np.full(outputs, 2.0)
    y, *gradients = pulled_back(np.ones((*batch, outputs), np.float32), x, kernel, bias)
    np.testing.assert_array_equal(y, np.full((*batch, outputs), 2.0 + inputs))
    assert [g.shape for g in gradients] == [x.shape, kernel.shape, bias.shape]
    if 0 in batch:
        np.testing.assert_array_equal(gradients[1], np.zeros((inputs, outputs)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_4096_small_terms_are_summed_in_float32(dtype, rng):
    x = jnp.asarray(rng.uniform(0.5, 1.5, (3, 4096)) / 256, dtype)
    kernel = jnp.asarray(rng.uniform(0.5, 1.5, (4096, 2)), dtype)
    exact = np.asarray(x, np.float64) @ np.asarray(kernel, np.float64)
    y = linear(x, kernel)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=float(jnp.finfo(dtype).eps))


def test_the_gradients_of_4096_bfloat16_rows_are_summed_in_float32():
    x, kernel = jnp.ones((4097, 2), jnp.bfloat16), jnp.zeros((2, 3))
    total = jax.jit(jax.grad(lambda k, b: linear(x, k, b).astype(jnp.float32).sum(), (0, 1)))
    gradients = total(kernel, jnp.zeros(3))
    np.testing.assert_allclose(gradients[0], np.full((2, 3), 4097.0), rtol=2**-8)
    np.testing.assert_array_equal(gradients[1], np.full(3, 4097.0))


def test_parameters_of_another_dtype_are_cast_to_that_of_the_input():
    x = jnp.ones((4, 3), jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        y, *gradients = pulled_back(jnp.ones((4, 2), jnp.bfloat16), x, jnp.ones((3, 2)), jnp.ones(2))
    assert y.dtype == jnp.bfloat16
    assert [g.dtype for g in gradients] == [jnp.bfloat16, jnp.float32, jnp.float32]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((4, 3), (2, 5)), r"linear: argument `kernel` must be Float\[Array, 'd_in d_out'\] with d_in=3"),
        (((4, 3), (3, 5), (3,)), r"linear: argument `bias` must be Float\[Array, 'd_out'\]"),
        (((), (3, 5)), r"linear: argument `x` must be Float\[Array, '\*batch d_in'\]"),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused_by_name(shapes, message):
    with pytest.raises(ValueError, match=message):
        linear(*map(jnp.ones, shapes))
