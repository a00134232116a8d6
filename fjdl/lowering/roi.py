"""Bilinear samples in regions of a feature map, averaged over the bins of a grid, as products with matrices of weights.

The weights of a box are those of its rows times those of its columns: bilinear interpolation and averages over a grid
of samples both separate. Of 1000 boxes with 7 × 7 bins on 50 × 50 × 256 features, one product of `[49, 2500]` for each
box takes a TPU 0.61 million cycles, two products in ten parts 1.45 million, gathers of the four neighbours 4.03 million
and 797 MiB; with the gradient the two products take 3.0 million, one product 3.3 million and 509 MiB, gathers 10.8
million (libtpu 0.0.42). So what goes forward is one product there, on maps that are not too high, and what comes back
is two: 2.2 million cycles. On a CPU gathers of 200 such boxes take 5 ms, two products 29 ms, and scatters 10 ms against
44 ms for what comes back (jaxlib 0.10.2).
"""

from functools import partial
from typing import Any

import jax.numpy as jnp

from fjdl.geometry import certain
from fjdl.lowering.linear import linear
from fjdl.lowering.taps import divided
from fjdl.meshes import adjoint, scan
from fjdl.numerics import wide
from fjdl.platforms import by_platform
from fjdl.typing import Array

_HIGH = 120  # rows of a map from which two products take a TPU less time
_BOXES, _AT_ONCE = 100, 10  # at once, elsewhere and on a CPU


def bin_weights(low: Array, high: Array, *, bins: int, samples: int, length: int) -> Array:
    """`[k, bins, length]`: how much each of `length` pixels counts in each bin of the stretch from low to high.

    Pixel i stands at the coordinate i. A sample before -1 or behind `length` is 0, others beyond the ends are brought
    there; so it is where a coordinate is not a number.
    """
    at, inside = _samples(low, high, bins=bins, samples=samples, length=length)
    distance = jnp.abs(at[..., None] - jnp.arange(length, dtype=low.dtype)[None, None])
    weights = jnp.where(inside[..., None], jnp.maximum(1 - distance, 0), 0)
    return jnp.mean(weights.reshape(low.shape[0], bins, samples, length), axis=2)


def _forward(x: Array, regions: Array, **static: Any) -> Array:
    """Averages of `x [..., h, w, c]` in the bins of `regions [..., k, 4]`: `[..., k, rows, columns, c]`."""
    high = certain(lambda: static["extent"][0] > _HIGH)
    one, two = partial(by_one_product, **static), partial(by_two_products, most=_BOXES, dtype=x.dtype, **static)
    return by_platform(x, regions, cpu=partial(by_gathers, **static), elsewhere=two if high else one)


def _backward(y: Array, regions: Array, **static: Any) -> Array:
    """What goes back from each bin to the pixels that it averages."""
    scattered, elsewhere = partial(by_scatter, **static), partial(transposed, most=_BOXES, dtype=y.dtype, **static)
    return by_platform(y, regions, cpu=scattered, elsewhere=elsewhere)


def by_gathers(x: Array, regions: Array, *, size: tuple[int, int], samples: int, extent: Any) -> Array:
    """The four neighbours of each sample, and their sum."""
    h, w, c = extent
    images, boxes = x.reshape(-1, h * w, c).astype(wide(x.dtype)), regions.reshape(-1, *regions.shape[-2:])

    def of_image(_: None, own: tuple[Array, Array]) -> tuple[None, Array]:
        image, boxes = own

        def of_part(_: None, part: Array) -> tuple[None, Array]:
            (row, down), (column, across) = _neighbours(part, size, samples, extent, image.dtype)
            places = row[:, :, None, :, None] * w + column[:, None, :, None, :]
            weights = down[:, :, None, :, None] * across[:, None, :, None, :]
            pixels = image[places.reshape(-1, places.shape[3] * places.shape[4])]
            bins = jnp.einsum("bsc,bs->bc", pixels, weights.reshape(-1, pixels.shape[1]))
            return None, bins.reshape(part.shape[0], *size, c).astype(x.dtype)

        return None, scan(of_part, None, divided(boxes, _AT_ONCE))[1]

    bins = scan(of_image, None, (images, boxes))[1]
    return bins.reshape(*regions.shape[:-1], *size, c)


def by_scatter(y: Array, regions: Array, *, size: tuple[int, int], samples: int, extent: Any) -> Array:
    """The transpose, entry by entry."""
    back = partial(by_gathers, regions=regions, size=size, samples=samples, extent=extent)
    shape = (*regions.shape[:-2], *extent)
    return adjoint(back, y.astype(wide(y.dtype)), shape=shape, dtype=wide(y.dtype)).astype(y.dtype)


def by_two_products(
    x: Array, regions: Array, *, size: tuple[int, int], samples: int, extent: Any, most: int, dtype: Any
) -> Array:
    """First the rows of all bins, then their columns, for `most` boxes at once."""
    images, boxes = x.reshape(-1, *x.shape[-3:]).astype(dtype), regions.reshape(-1, *regions.shape[-2:])

    def of_image(_: None, own: tuple[Array, Array]) -> tuple[None, Array]:
        image, boxes = own

        def of_part(_: None, part: Array) -> tuple[None, Array]:
            down, across = _weights(part, size, samples, extent, dtype)
            rows = jnp.einsum("kph,hwc->kpwc", down, image, preferred_element_type=wide(x.dtype)).astype(dtype)
            bins = jnp.einsum("kqw,kpwc->kpqc", across, rows, preferred_element_type=wide(x.dtype))
            return None, bins.astype(x.dtype)

        return None, scan(of_part, None, divided(boxes, most))[1]

    bins = scan(of_image, None, (images, boxes))[1]
    return bins.reshape(*regions.shape[:-1], *size, x.shape[-1])


def by_one_product(x: Array, regions: Array, *, size: tuple[int, int], samples: int, extent: Any) -> Array:
    """A matrix of all bins by all pixels for each box."""
    images, boxes = x.reshape(-1, *x.shape[-3:]), regions.reshape(-1, *regions.shape[-2:])

    def of_image(_: None, own: tuple[Array, Array]) -> tuple[None, Array]:
        image, boxes = own
        down, across = _weights(boxes, size, samples, extent, wide(x.dtype))
        weights = (down[:, :, None, :, None] * across[:, None, :, None, :]).astype(x.dtype)
        bins = jnp.einsum("kpqhw,hwc->kpqc", weights, image, preferred_element_type=wide(x.dtype))
        return None, bins.astype(x.dtype)

    bins = scan(of_image, None, (images, boxes))[1]
    return bins.reshape(*regions.shape[:-1], *size, x.shape[-1])


def transposed(
    y: Array, regions: Array, *, size: tuple[int, int], samples: int, extent: Any, most: int, dtype: Any
) -> Array:
    """The transpose of both, as two products for `most` boxes at once, summed in float32."""
    k = regions.shape[-2]
    bins, boxes = y.reshape(-1, k, *size, extent[2]).astype(dtype), regions.reshape(-1, k, 4)

    def of_image(_: None, own: tuple[Array, Array]) -> tuple[None, Array]:
        bins, boxes = own

        def of_part(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
            bins, boxes = part
            down, across = _weights(boxes, size, samples, extent, dtype)
            rows = jnp.einsum("kqw,kpqc->kpwc", across, bins, preferred_element_type=wide(y.dtype)).astype(dtype)
            return total + jnp.einsum("kph,kpwc->hwc", down, rows, preferred_element_type=wide(y.dtype)), None

        parts = (divided(bins, most), divided(boxes, most))
        return None, scan(of_part, jnp.zeros(extent, wide(y.dtype)), parts)[0].astype(y.dtype)

    return scan(of_image, None, (bins, boxes))[1].reshape(*y.shape[:-4], *extent)


averages = linear("fjdl_roi_align", forward=_forward, backward=_backward)


def _weights(regions: Array, size: tuple[int, int], samples: int, extent: Any, dtype: Any) -> tuple[Array, Array]:
    """Of the rows and of the columns."""
    x0, y0, x1, y1 = jnp.unstack(regions, axis=-1)
    down = bin_weights(y0, y1, bins=size[0], samples=samples, length=extent[0])
    across = bin_weights(x0, x1, bins=size[1], samples=samples, length=extent[1])
    return down.astype(dtype), across.astype(dtype)


def _neighbours(
    regions: Array, size: tuple[int, int], samples: int, extent: Any, dtype: Any
) -> list[tuple[Array, Array]]:
    """The pixels on both sides of each sample `[k, bins, 2 samples]` and their weights: of rows, of columns."""
    x0, y0, x1, y1 = jnp.unstack(regions, axis=-1)
    found = []
    for low, high, bins, length in ((y0, y1, size[0], extent[0]), (x0, x1, size[1], extent[1])):
        at, inside = _samples(low, high, bins=bins, samples=samples, length=length)
        before = jnp.floor(at)
        weights = jnp.stack([1 - (at - before), at - before], axis=-1) / samples
        places = before.astype(jnp.int32)
        places = jnp.stack([places, jnp.minimum(places + 1, length - 1)], axis=-1)
        shape = (regions.shape[0], bins, 2 * samples)
        found.append((places.reshape(shape), jnp.where(inside[..., None], weights, 0).reshape(shape).astype(dtype)))
    return found


def _samples(low: Array, high: Array, *, bins: int, samples: int, length: int) -> tuple[Array, Array]:
    """Coordinates of the samples of all bins, brought to the pixels, and whether they count."""
    place = (jnp.arange(bins * samples, dtype=low.dtype) + 0.5) / (samples * bins)
    at = low[:, None] + place[None] * (high - low)[:, None]
    inside = (at >= -1) & (at <= length)
    return jnp.where(inside, jnp.clip(at, 0, length - 1), 0), inside
