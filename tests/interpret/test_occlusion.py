from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.interpret import enlarged, grad_cam, grad_cam_plus_plus, occlusion, rise
from tests.support import count_traces

KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(0, 1, (2, 5, 6, 2)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).standard_normal((5, 6, 2, 3)).astype(np.float32)
CLASSES = np.array([2, 0], np.int32)


def linear(x: Any) -> Any:
    return x.reshape(x.shape[0], -1) @ jnp.asarray(WEIGHTS.reshape(-1, 3), x.dtype)


def squares(x: Any) -> Any:
    return jnp.square(linear(x))


def test_hiding_single_pixels_of_a_linear_network_gives_their_parts() -> None:
    found = jax.jit(lambda x: occlusion(linear, x, CLASSES, window=1, fill=0.25))(X)
    expected = np.stack([((x - 0.25) * WEIGHTS[..., k]).sum(-1) for x, k in zip(X, CLASSES, strict=True)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [((2, 3), (2, 2)), (3, 1), ((5, 6), 1)])
def test_windows_are_hidden_one_by_one_and_pixels_get_the_mean(window: Any, stride: Any) -> None:
    sizes, steps = np.broadcast_to(window, 2), np.broadcast_to(stride, 2)
    starts = [[*range(0, d - s, step), d - s] for d, s, step in zip((5, 6), sizes, steps, strict=True)]
    total, count = np.zeros((2, 5, 6)), np.zeros((5, 6))
    score = lambda x: np.square(np.einsum("nhwc,hwck->nk", x.astype(float), WEIGHTS))[[0, 1], CLASSES]  # noqa: E731
    for i in starts[0]:
        for j in starts[1]:
            hidden, place = X.copy(), np.s_[i : i + sizes[0], j : j + sizes[1]]
            hidden[(slice(None), *place)] = 0
            total[(slice(None), *place)] += (score(X) - score(hidden))[:, None, None]
            count[place] += 1
    for at_once in (1, 4, 1000):
        found = occlusion(squares, X, CLASSES, window=window, stride=stride, windows_at_once=at_once)
        np.testing.assert_allclose(found, total / count, rtol=1e-3, atol=1e-4)


def test_the_network_sees_only_so_many_images_at_once() -> None:
    seen: list[int] = []

    def watched(x: Any) -> Any:
        seen.append(x.shape[0])
        return linear(x)

    jax.eval_shape(lambda x: occlusion(watched, x, CLASSES, window=2, windows_at_once=3), X)
    assert set(seen) == {2, 6}
    seen.clear()
    jax.eval_shape(lambda x: rise(KEY, watched, x, CLASSES, masks=100, cells=2, masks_at_once=5), X)
    assert set(seen) == {10}


def test_random_masks_show_the_pixels_that_count() -> None:
    """A score of 1 whatever is seen gives the mean mask over its share, 1; one of a single pixel is highest there."""
    constant = lambda x: jnp.ones((x.shape[0], 3))  # noqa: E731
    run = jax.jit(lambda key: rise(key, constant, X, CLASSES, masks=2000, cells=3, share=0.4))
    np.testing.assert_allclose(run(KEY), np.ones((2, 5, 6)), atol=0.12)
    assert not np.array_equal(run(KEY), run(jax.random.key(1)))
    pixel = lambda x: jnp.tile(x[:, 3, 1], (1, 2))[:, :3]  # noqa: E731
    found = np.asarray(rise(KEY, pixel, jnp.ones_like(X), CLASSES, masks=500, cells=3))
    for one in found:
        assert np.unravel_index(np.argmax(one), one.shape) == (3, 1)


def test_a_second_call_compiles_nothing() -> None:
    run, traces = count_traces(lambda w, x: occlusion(lambda x: linear(x) * w, x, CLASSES, window=2, stride=2))
    for w in (1.0, 2.0):
        run(w, X)
    assert len(traces) == 1


@pytest.mark.parametrize("options", [{"window": 6}, {"window": 2, "stride": 3}, {"window": (2, 7)}])
def test_windows_that_do_not_fit_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"^window must fit into the image and not be smaller than stride, got window "
    ):
        occlusion(linear, X, CLASSES, **options)


def test_class_activation_maps_of_a_mean_and_a_dense_layer_are_those_of_the_dense_layer() -> None:
    """CAM of Zhou et al.: the kernel's column weighs the channels, here divided by the 30 pixels."""
    kernel = np.random.default_rng(2).standard_normal((2, 3)).astype(np.float32)
    head = lambda a: a.mean(axis=(1, 2)) @ kernel  # noqa: E731
    features = np.random.default_rng(3).standard_normal((2, 5, 6, 2)).astype(np.float32)
    found = jax.jit(lambda a: grad_cam(head, a, CLASSES))(features)
    expected = np.maximum(np.einsum("nhwc,nc->nhw", features, kernel.T[CLASSES]), 0) / 30
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert found.max() > 0
    large = enlarged(found, size=(10, 12))
    assert large.shape == (2, 10, 12)
    assert np.asarray(large).max() <= np.asarray(found).max() + 1e-6


def test_the_weights_of_grad_cam_plus_plus_are_those_of_the_paper() -> None:
    """By hand with PyTorch's gradient g of a head that is not linear: a = g² / (2 g² + ΣA g³)."""
    torch = pytest.importorskip("torch")
    features = np.abs(np.random.default_rng(3).standard_normal((2, 5, 6, 2))).astype(np.float32)
    head = lambda a: jnp.square(linear(a)) / 50  # noqa: E731
    a = torch.tensor(features, dtype=torch.float64, requires_grad=True)
    scores = torch.einsum("nhwc,hwck->nk", a, torch.tensor(WEIGHTS).double()) ** 2 / 50
    scores[torch.arange(2), torch.tensor(CLASSES).long()].sum().backward()
    g = a.grad.numpy()
    share = g**2 / (2 * g**2 + features.astype(float).sum((1, 2), keepdims=True) * g**3)
    weights = (share * np.maximum(g, 0)).sum((1, 2))
    expected = np.maximum((features * weights[:, None, None]).sum(-1), 0)
    found = jax.jit(partial(grad_cam_plus_plus, head))(features, CLASSES)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    flat = grad_cam_plus_plus(lambda a: 0 * linear(a), features, CLASSES)
    np.testing.assert_array_equal(flat, np.zeros((2, 5, 6)))
