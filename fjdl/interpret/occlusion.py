"""Where in an image a score comes from, without gradients: by hiding parts of it."""

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.checks import at_least, within
from fjdl.functional.resize import resize2d
from fjdl.geometry import Pair, pair
from fjdl.interpret.scores import Network, in_pieces, scores_of
from fjdl.meshes import fori_loop
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
    holds = [_holds(*sizes) for sizes in zip(space, windows, strides, strict=True)]  # [windows, pixels] of each axis
    rows, columns = (jnp.asarray(each.ravel(), jnp.int32) for each in np.indices([len(each) for each in holds]))

    def fall(row: Array, column: Array) -> Array:
        hidden = jnp.asarray(holds[0])[row][:, :, None] & jnp.asarray(holds[1])[column][:, None]
        images = jnp.where(hidden[:, None, :, :, None], jnp.asarray(fill, x.dtype), x[None])
        return whole[None] - _scores(network, images, classes)

    whole = scores_of(network, x, classes)
    falls = in_pieces(fall, rows, columns, size=windows_at_once).reshape(len(holds[0]), len(holds[1]), n)
    shares = [each / each.sum(axis=0) for each in holds]  # of each window in the mean of a pixel
    return jnp.einsum(
        "rcn,rh,cw->nhw",
        falls,
        *(jnp.asarray(each, falls.dtype) for each in shares),
        precision=jax.lax.Precision.HIGHEST,
    )


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
    at_least(1, masks=masks, cells=cells, masks_at_once=masks_at_once)
    within("(0, 1]", share=share)
    n, h, w, _ = x.shape

    def mask(number: Array) -> Array:
        own = jax.random.split(jax.random.fold_in(key, number), 3)
        kept = jax.random.bernoulli(own[0], share, (cells + 1, cells + 1, 1)).astype(jnp.float32)
        large = resize2d(kept, size=(h + _cell(h, cells), w + _cell(w, cells)))
        corner = (jax.random.randint(k, (), 0, _cell(d, cells)) for k, d in zip(own[1:], (h, w), strict=True))
        return jax.lax.dynamic_slice(large[..., 0], tuple(corner), (h, w))

    def add(piece: Array, total: Array) -> Array:
        numbers = piece * at_once + jax.lax.iota(jnp.int32, at_once)
        shown = jax.vmap(mask)(numbers)
        scores = _scores(network, x[None] * shown[:, None, :, :, None].astype(x.dtype), classes)
        counted = jnp.where((numbers < masks)[:, None], scores, 0)
        return total + full_product(counted.T, shown.reshape(at_once, -1)).astype(total.dtype)

    at_once = min(masks_at_once, masks)
    total = fori_loop(0, -(-masks // at_once), add, jnp.zeros((n, h * w)))
    return (total / (masks * share)).reshape(n, h, w)


def _cell(size: int, cells: int) -> int:
    return -(-size // cells)


def _scores(network: Network, images: Array, classes: Array) -> Array:
    """The scores [m, n] of m changed copies of n images."""
    m, n = images.shape[:2]
    repeated = jnp.broadcast_to(classes[None], (m, n)).reshape(m * n)
    return scores_of(network, images.reshape(m * n, *images.shape[2:]), repeated).reshape(m, n)


def _holds(size: int, window: int, stride: int) -> np.ndarray:
    """Which pixels of an axis each window holds."""
    starts = np.minimum(np.arange(0, size - window + stride, stride), size - window)[:, None]
    pixels = np.arange(size)[None]
    return (pixels >= starts) & (pixels < starts + window)
