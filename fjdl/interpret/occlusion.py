"""Where in an image a score comes from, without gradients: by hiding parts of it."""

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.checks import at_least, within
from fjdl.functional.resize import resize2d
from fjdl.geometry import Pair, pair
from fjdl.interpret.scores import Network, in_pieces, scores_of
from fjdl.numerics import full_product
from fjdl.typing import Array, Float, Integer, Number, PRNGKey, typed


@typed
def occlusion(
    network: Network,
    x: Float[Array, "n h w c"],
    classes: Integer[Array, " n"],
    *,
    window: Pair,
    stride: Pair = 1,
    fill: Number = 0.0,
    windows_at_once: int = 16,
) -> Float[Array, "n h w"]:
    """How much the score falls while a window is filled with `fill`: the mean over all windows that hold the pixel.

    Windows go over the image in steps of `stride`, the last of each row and column ends at the border. Of a score that
    is linear in the pixels, with windows of one pixel, it is `(x - fill) ∂S/∂x` summed over channels. The network sees
    `n windows_at_once` images at a time. Zeiler & Fergus 2013, arXiv:1311.2901. Raises `ValueError` for a window larger
    than the image, and a stride larger than the window, which leaves pixels out.
    """
    windows, strides = pair("window", window), pair("stride", stride)
    at_least(1, window=windows, stride=strides)
    n, *space, _ = x.shape
    for size, step, pixels in zip(windows, strides, space, strict=True):
        if size > pixels or step > size:
            raise ValueError(
                f"window must fit into the image and not be smaller than stride, got window {windows} and stride "
                f"{strides} for images of {space[0]} x {space[1]}"
            )
    inside = [_inside(*sizes) for sizes in zip(space, windows, strides, strict=True)]  # [windows, pixels]
    rows, columns = (each.reshape(-1) for each in np.indices([len(each) for each in inside]))
    hidden = jnp.asarray(inside[0][rows, :, None] & inside[1][columns, None, :])  # [m, h, w]

    def fall(hidden: Array) -> Array:
        images = jnp.where(hidden[:, None, :, :, None], jnp.asarray(fill, x.dtype), x[None])
        return whole[None] - _scores(network, images, classes)

    whole = scores_of(network, x, classes)
    falls = in_pieces(fall, hidden, size=windows_at_once)  # [m, n]
    counted = hidden.reshape(len(rows), -1).astype(falls.dtype)
    return (full_product(falls.T, counted) / counted.sum(axis=0)[None]).reshape(n, *space)


@typed
def rise(
    key: PRNGKey,
    network: Network,
    x: Float[Array, "n h w c"],
    classes: Integer[Array, " n"],
    *,
    masks: int = 1000,
    cells: int = 7,
    share: Number = 0.5,
    masks_at_once: int = 16,
) -> Float[Array, "n h w"]:
    """RISE: the mean score of the image under random masks, each weighed by what it shows of the pixel, over `share`.

    A mask is a grid of `cells` x `cells`, each kept with probability `share`, enlarged by bilinear weights to a little
    more than the image and cut out at a random place; what it hides is 0. The same masks serve all examples. The
    paper's scores are probabilities. Petsiuk, Das & Saenko 2018, arXiv:1806.07421. Raises `ValueError` for `masks` or
    `cells` below 1 and a share outside (0, 1].
    """
    at_least(1, masks=masks, cells=cells)
    within("(0, 1]", share=share)
    n, h, w, _ = x.shape
    numbers = jax.lax.iota(jnp.int32, masks)

    def mask(number: Array) -> Array:
        own = jax.random.split(jax.random.fold_in(key, number), 3)
        kept = jax.random.bernoulli(own[0], share, (cells + 1, cells + 1, 1)).astype(jnp.float32)
        large = resize2d(kept, size=(h + _cell(h, cells), w + _cell(w, cells)))
        corner = (jax.random.randint(k, (), 0, _cell(d, cells)) for k, d in zip(own[1:], (h, w), strict=True))
        return jax.lax.dynamic_slice(large[..., 0], tuple(corner), (h, w))

    def weighed(numbers: Array) -> tuple[Array, Array]:
        shown = jax.vmap(mask)(numbers)
        images = x[None] * shown[:, None, :, :, None].astype(x.dtype)
        return _scores(network, images, classes), shown

    scores, shown = in_pieces(weighed, numbers, size=masks_at_once)
    return (full_product(scores.T, shown.reshape(masks, -1)) / (masks * share)).reshape(n, h, w)


def _cell(size: int, cells: int) -> int:
    return -(-size // cells)


def _scores(network: Network, images: Array, classes: Array) -> Array:
    """The scores [m, n] of m changed copies of n images."""
    m, n = images.shape[:2]
    repeated = jnp.broadcast_to(classes[None], (m, n)).reshape(m * n)
    return scores_of(network, images.reshape(m * n, *images.shape[2:]), repeated).reshape(m, n)


def _inside(size: int, window: int, stride: int) -> np.ndarray:
    """Which pixels of an axis each window holds."""
    starts = np.minimum(np.arange(0, size - window + stride, stride), size - window)[:, None]
    pixels = np.arange(size)[None]
    return (pixels >= starts) & (pixels < starts + window)
