"""Signatures, maximization, regions and units."""

from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from sklearn.decomposition import PCA as OfSklearn
from sklearn.manifold import TSNE

from fjdl.interpret import (
    fit_pca,
    histogram,
    histograms,
    largest_part,
    layer_norms,
    maximize,
    project,
    region_box,
    salient_region,
    saturated_share,
    total_variation,
    tsne,
    zero_share,
)

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(20, 6), (4, 7)])
def test_principal_components_are_those_of_sklearn(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) * 3.0 ** -np.arange(shape[1]) + 100).astype(np.float32)
    found, coordinates = jax.jit(lambda x: (fit_pca(x, components=2), project(fit_pca(x), x)))(x)
    oracle = OfSklearn(2, svd_solver="full").fit(x.astype(float))
    signs = np.sign(np.sum(found.components * oracle.components_, axis=1))
    np.testing.assert_allclose(found.components, oracle.components_ * signs[:, None], atol=2e-4)
    np.testing.assert_allclose(found.variance, oracle.explained_variance_, rtol=1e-3)
    np.testing.assert_allclose(found.share, oracle.explained_variance_ratio_, rtol=1e-3)
    np.testing.assert_allclose(coordinates, oracle.transform(x.astype(float)) * signs, atol=2e-3)
    assert np.all(np.asarray(found.components)[[0, 1], np.abs(found.components).argmax(axis=1)] > 0)


def test_points_without_variance_have_no_share_and_too_few_are_refused() -> None:
    found = fit_pca(jnp.ones((3, 2)))
    assert found.variance.tolist() == [0, 0]
    assert np.isnan(found.share).all()
    with pytest.raises(ValueError, match=r"^x must hold at least two points, got shape \(1, 4\)$"):
        fit_pca(jnp.ones((1, 4)))
    with pytest.raises(ValueError, match=r"^components must lie in \[1, 2\], got 3$"):
        fit_pca(jnp.ones((2, 4)), components=3)


def test_t_sne_is_that_of_sklearn_and_depends_on_the_seed_alone() -> None:
    x = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)
    found = tsne(x, seed=1, perplexity=4)
    np.testing.assert_array_equal(found, TSNE(2, perplexity=4, init="pca", random_state=1).fit_transform(x))
    assert found.shape == (12, 2)
    with pytest.raises(ValueError, match=r"^perplexity must lie in \(0, 12\), got 30.0$"):
        tsne(x, seed=0)


@pytest.mark.by_day_on_pin(1)
def test_ascent_finds_the_input_that_a_linear_unit_answers_to_the_most() -> None:
    """Without penalties the corner of the box by the signs; with ‖x‖² the point w / (2 size)."""
    w = jnp.asarray(np.random.default_rng(0).standard_normal((1, 3, 3, 1)), jnp.float32)
    score = lambda x: jnp.sum(w * x, axis=(1, 2, 3))  # noqa: E731
    start = jnp.full((1, 3, 3, 1), 0.5)
    run = partial(maximize, KEY, score, start, jitter=0, step=0.3)
    np.testing.assert_allclose(run(steps=400), (w > 0).astype(jnp.float32), atol=1e-6)
    np.testing.assert_allclose(run(steps=200, size=2.0, low=-1.0), jnp.clip(w / 4, -1, 1), atol=0.02)
    smooth = jax.jit(lambda v: run(steps=40, variation=v, low=-5.0, high=5.0))
    assert float(total_variation(smooth(5.0))[0]) < 0.5 * float(total_variation(smooth(0.0))[0])
    # rolled by up to one pixel on a 3 x 3 image, all places are alike
    anywhere = maximize(KEY, score, start, jitter=1, steps=300, step=0.05, low=-50.0, high=50.0)
    assert float(jnp.std(anywhere)) < 0.25 * float(jnp.std(maximize(
        KEY, score, start, jitter=0, steps=300, step=0.05, low=-50.0, high=50.0)))  # fmt: skip
    with pytest.raises(ValueError, match=r"^steps must be at least 1, got 0$"):
        run(steps=0)


@pytest.mark.parametrize("density", [0.0, 0.3, 0.6, 1.0])
def test_the_largest_part_is_that_of_scipy(density: float) -> None:
    masks = np.random.default_rng(0).uniform(size=(6, 9, 11)) < density
    found = np.asarray(jax.jit(largest_part)(masks))
    for mask, part in zip(masks, found, strict=True):
        labels, count = ndimage.label(mask)
        sizes = ndimage.sum_labels(mask, labels, range(1, count + 1)) if count else np.zeros(1)
        expected = (labels == 1 + np.argmax(sizes)) & mask
        np.testing.assert_array_equal(part, expected)


def test_a_spiral_is_one_part() -> None:
    spiral = np.array([list(row) for row in ("#####", "....#", "###.#", "#...#", "#####")])[None] == "#"
    np.testing.assert_array_equal(largest_part(spiral), spiral)


def test_the_salient_region_is_the_largest_part_above_the_quantile_with_its_box() -> None:
    maps = np.zeros((2, 5, 5), np.float32)
    maps[0, 1:3, 2:5], maps[0, 4, 0] = 1.0, 9.0
    found = salient_region(maps, quantile=0.7)
    np.testing.assert_array_equal(found[0], maps[0] == 1)
    assert not found[1].any()  # one value
    assert region_box(found).tolist() == [[2, 1, 5, 3], [0, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"^quantile must lie in \[0, 1\), got 1.0$"):
        salient_region(maps, quantile=1.0)


def test_dead_and_saturated_units_are_counted_over_examples_and_places() -> None:
    relu = jnp.array([[[[0.0, 1.0, jnp.nan]], [[0.0, 0.0, 0.0]]]])  # [1, 2, 1, 3]
    np.testing.assert_array_equal(zero_share(relu), np.float32([1, 0.5, 0.5]))
    tanh = jnp.array([[-0.95, 0.0], [0.89, 0.91]], jnp.bfloat16)
    np.testing.assert_array_equal(saturated_share(tanh, low=-1.0, high=1.0), np.float32([0.5, 0.5]))
    assert saturated_share(jnp.zeros((0, 2)), low=0.0, high=1.0).shape == (2,)
    with pytest.raises(ValueError, match=r"^margin must lie in \[0, 0.5\), got 0.5$"):
        saturated_share(tanh, low=0.0, high=1.0, margin=0.5)


def test_histograms_are_those_of_numpy_and_count_what_is_not_finite() -> None:
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    found = jax.jit(lambda x: histogram(x, bins=7))(np.append(x, [np.nan, np.inf]).astype(np.float32))
    counts, edges = np.histogram(x, bins=7)
    assert found.counts.tolist() == counts.tolist()
    np.testing.assert_allclose(found.edges, edges, rtol=1e-5)
    assert int(found.rest) == 2
    in_two = jax.jit(partial(histogram, bins=2))
    for values, expected in (([3.0, 3.0], [0, 2]), ([np.inf, np.inf], [0, 0]), ([], [0, 0])):
        assert in_two(np.float32(values)).counts.tolist() == expected
    tree: Any = {"conv": {"kernel": jnp.ones((2, 2)), "bias": jnp.zeros(2)}}
    assert list(jax.eval_shape(histograms, tree)) == ["conv/bias", "conv/kernel"]
    assert {name: float(norm) for name, norm in layer_norms(tree).items()} == {"conv/bias": 0, "conv/kernel": 2}


def test_gradients_vanish_through_sigmoids_by_a_quarter_or_more_in_each_layer() -> None:
    """A sigmoid's slope is at most 1/4, so that of six layers of weight 1 is at most 4⁻⁶."""

    def chain(biases: Any) -> Any:
        x = jnp.zeros(())
        for name in sorted(biases):
            x = jax.nn.sigmoid(x + biases[name])
        return x

    biases = {f"layer{number}": jnp.asarray(-0.5 * (number > 0)) for number in range(6)}
    norms = [float(norm) for norm in layer_norms(jax.grad(chain)(biases)).values()]
    np.testing.assert_allclose(norms[0], np.prod([0.25, *[s * (1 - s) for s in _sigmoids(5)]]), rtol=1e-5)
    assert all(lower <= upper / 4 for lower, upper in pairwise(norms))
    assert norms[0] <= 4.0**-6


def _sigmoids(count: int) -> list[float]:
    """What layers of weight 1 and bias -1/2 make of 1/2, one after the other."""
    values = [0.5]
    for _ in range(count):
        values.append(1 / (1 + np.exp(0.5 - values[-1])))
    return values[1:]
