from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.interpret import (
    completeness_gap,
    gradient_times_input,
    guided,
    input_gradient,
    integrated_gradients,
    saliency_map,
    smooth_gradient,
)
from tests.support import count_traces

KEY = jax.random.key(0)
FIRST = np.random.default_rng(2).standard_normal((12, 7)).astype(np.float32)
SECOND = np.random.default_rng(3).standard_normal((7, 7)).astype(np.float32)
LAST = np.random.default_rng(4).standard_normal((7, 3)).astype(np.float32)
X = np.random.default_rng(5).standard_normal((4, 2, 2, 3)).astype(np.float32)
CLASSES = np.array([0, 2, 1, 2], np.int32)


def network(x: Any) -> Any:
    """Two hidden layers of ReLUs."""
    first, second, last = (jnp.asarray(each, x.dtype) for each in (FIRST, SECOND, LAST))
    return jax.nn.relu(jax.nn.relu(x.reshape(x.shape[0], -1) @ first) @ second) @ last


def of_torch(*, guide: bool = False) -> np.ndarray:
    """The gradient of each example's score by PyTorch; guided by a hook that changes what ReLUs pass back."""
    torch = pytest.importorskip("torch")
    layers = []
    for kernel in (FIRST, SECOND, LAST):
        dense = torch.nn.Linear(*kernel.shape, bias=False)
        dense.weight.data = torch.tensor(kernel.T)
        layers += [dense, torch.nn.ReLU()]
    model = torch.nn.Sequential(torch.nn.Flatten(), *layers[:-1])
    if guide:
        for layer in model:
            if isinstance(layer, torch.nn.ReLU):
                layer.register_full_backward_hook(lambda _, gradient, __: (gradient[0].clamp(min=0),))
    x = torch.tensor(X, requires_grad=True)
    model(x)[torch.arange(4), torch.tensor(CLASSES).long()].sum().backward()
    return x.grad.numpy()


def test_gradients_are_those_of_torch_and_the_map_is_the_largest_of_the_channels() -> None:
    expected = of_torch()
    found = jax.jit(lambda x, c: (input_gradient(network, x, c), saliency_map(network, x, c)))(X, CLASSES)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], np.abs(expected).max(axis=-1), rtol=1e-5, atol=1e-6)
    product = gradient_times_input(network, X, CLASSES)
    np.testing.assert_allclose(product, X * expected, rtol=1e-5, atol=1e-6)
    own = np.asarray(network(jnp.asarray(X)))[np.arange(4), CLASSES]
    np.testing.assert_allclose(np.sum(product, axis=(1, 2, 3)), own, rtol=1e-5)  # no biases: the score itself


def test_guided_backpropagation_is_that_of_hooks_in_torch_and_keeps_values() -> None:
    np.testing.assert_array_equal(guided(network)(jnp.asarray(X)), network(jnp.asarray(X)))
    # torch hands the hook what passes the ReLU's own rule, which here commutes with the clamp
    np.testing.assert_allclose(input_gradient(guided(network), X, CLASSES), of_torch(guide=True), rtol=1e-5, atol=1e-6)
    assert not np.allclose(input_gradient(guided(network), X, CLASSES), of_torch())


def test_integrated_gradients_by_hand() -> None:
    """max(x₀ + x₁ - 1, 0) at (1, 1) rises over half of the way from 0; x₀ x₁ is shared; 1 - max(1 - x, 0) ends at 1."""
    rectified = lambda x: jnp.stack([jnp.maximum(x[:, 0] + x[:, 1] - 1, 0)], 1)  # noqa: E731
    zero = jnp.array([0])
    found = integrated_gradients(rectified, jnp.array([[1.0, 1.0]]), zero, steps=100)
    np.testing.assert_allclose(found, [[0.5, 0.5]], rtol=2e-2)
    product = lambda x: jnp.stack([x[:, 0] * x[:, 1]], 1)  # noqa: E731
    found = integrated_gradients(product, jnp.array([[3.0, 2.0]]), zero, steps=1)  # exact for its degree
    np.testing.assert_allclose(found, [[3.0, 3.0]], rtol=1e-6)
    saturated = lambda x: 1 - jnp.maximum(1 - x, 0)  # noqa: E731
    found = integrated_gradients(saturated, jnp.array([[2.0]]), zero, steps=100)
    np.testing.assert_allclose(found, [[1.0]], rtol=2e-2)  # whose gradient at 2 is 0
    baseline = jnp.array([[1.0, 2.0]])
    found = integrated_gradients(product, jnp.array([[3.0, 2.0]]), zero, baseline, steps=2)
    np.testing.assert_allclose(found, [[4.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(
        completeness_gap(product, jnp.array([[3.0, 2.0]]), zero, found + 0.25, baseline), [0.5], rtol=1e-5
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_integrated_gradients_are_complete(dtype: Any) -> None:
    x = jnp.asarray(X, dtype)
    found = jax.jit(lambda x, c: integrated_gradients(network, x, c))(x, CLASSES)
    assert found.dtype == jnp.float32
    whole = np.asarray(network(x), np.float32)[np.arange(4), CLASSES]
    gap = np.asarray(completeness_gap(network, x, CLASSES, found))
    assert np.all(np.abs(gap) <= (0.01 if dtype == jnp.float32 else 0.03) * np.abs(whole))


def test_smooth_gradients_of_a_linear_network_are_its_gradients_and_a_kink_is_halved() -> None:
    kernel = jnp.asarray(LAST)
    linear = lambda x: x @ kernel  # noqa: E731
    x = jnp.asarray(np.random.default_rng(0).standard_normal((3, 7)), jnp.float32)
    classes = jnp.array([0, 1, 2])
    np.testing.assert_allclose(
        smooth_gradient(KEY, linear, x, classes, samples=3), input_gradient(linear, x, classes), rtol=1e-5
    )
    kinks = lambda x: jax.nn.relu(x - jnp.array([[0.0, 0.5, 1.0]]))  # noqa: E731
    run = jax.jit(partial(smooth_gradient, network=kinks, samples=2000, noise=0.1))
    found = run(KEY, x=jnp.array([[0.0, 0.5, 1.0]] * 3), classes=jnp.array([0, 1, 2]))
    np.testing.assert_allclose(np.diag(found), [0.5] * 3, atol=0.04)
    squares = lambda x: jnp.square(x)  # noqa: E731
    of_products = partial(smooth_gradient, KEY, squares, noise=0.0, samples=2, attribution=gradient_times_input)
    np.testing.assert_allclose(of_products(x[:1, :1], jnp.array([0])), 2 * np.square(x[:1, :1]), rtol=1e-6)
    np.testing.assert_array_equal(*(run(KEY, x=x[:, :3], classes=classes) for _ in range(2)))


def test_a_second_call_compiles_nothing() -> None:
    run, traces = count_traces(
        lambda first, x, c: integrated_gradients(guided(lambda x: jax.nn.relu(x @ first) @ LAST), x, c, steps=3)
    )
    for scale in (1.0, 2.0):
        run(scale * SECOND, np.ones((2, 7), np.float32), CLASSES[:2])
    assert len(traces) == 1


def test_what_does_not_fit_is_refused_and_a_traced_class_out_of_range_gives_nan() -> None:
    with pytest.raises(ValueError, match=r"^classes must lie in \[0, 3\), got \[0, 3, 1, 2\]"):
        input_gradient(network, X, np.array([0, 3, 1, 2]))
    with pytest.raises(ValueError, match=r"^network must give scores \[n, k\] of 4 examples, got shape \(4, 2, 2, 3\)"):
        saliency_map(lambda x: x, X, CLASSES)
    with pytest.raises(ValueError, match=r"^steps must be at least 1, got 0$"):
        integrated_gradients(network, X, CLASSES, steps=0)
    found = jax.jit(lambda c: input_gradient(network, X, c))(jnp.array([0, 3, 1, -1]))
    assert np.isnan(found).all(axis=(1, 2, 3)).tolist() == [False, True, False, True]
