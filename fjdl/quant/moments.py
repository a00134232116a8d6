"""Second moments of the inputs of a product: what rounding on calibration data needs to know of them."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.fused import fused
from fjdl.metrics.base import Metric, Weights, weight_of_each
from fjdl.numerics import full_product, widened
from fjdl.quant.grid import refuse_nan
from fjdl.quant.ranges.base import require_seen
from fjdl.typing import Array, Float, Shaped, typed


class InputMoments(NamedTuple):
    """The sum of xᵀx over all rows, times their weights, and the sum of the weights."""

    total: Array
    weight: Array


@typed
def input_moments(*, channels: int, groups: int | None = None) -> Metric:
    """The mean of xᵀx over rows x of `channels` inputs, `[channels, channels]`: half the Hessian of a squared error.

    `update(state, x, weights=None)` takes `x` `[..., channels]`, and with `groups` `[..., groups, channels]`, whose
    result is `[groups, channels, channels]`. The result is that of all rows at once, to rounding, however they were
    split. A convolution's rows are those of `functional.im2col`, and with groups of `unfolded_inputs`. In float32.
    `compute` raises `ValueError` for a known state without rows, `update` for a known NaN or infinity among rows that
    count. Frantar et al. 2022, arXiv:2210.17323.

    >>> from fjdl.metrics import measure
    >>> measure(input_moments(channels=2), jnp.array([[1.0, 2.0], [3.0, 0.0]]))
    Array([[5., 1.],
           [1., 2.]], dtype=float32)
    """
    at_least(1, channels=channels, groups=groups)
    parts = () if groups is None else (groups,)

    def init() -> InputMoments:
        return InputMoments(jnp.zeros((*parts, channels, channels)), jnp.zeros(()))

    @typed
    def update(state: InputMoments, x: Float[Array, "..."], weights: Weights = None) -> InputMoments:
        if x.shape[-1 - len(parts) :] != (*parts, channels):
            raise ValueError(f"the last axes of x must be {[*parts, channels]}, got shape {tuple(x.shape)}")
        rows = x.shape[: x.ndim - 1 - len(parts)]
        each = weight_of_each(weights, rows).astype(jnp.float32)
        along = each.reshape(*rows, *[1] * (len(parts) + 1))
        wide = jnp.where(along != 0, jnp.asarray(x).astype(jnp.float32), 0.0)
        refuse_nan(wide, infinite=True)
        return merge(state, InputMoments(_products(wide * along, wide), jnp.sum(each)))

    def _products(a: Array, b: Array) -> Array:
        flat = (x.reshape(-1, *parts, channels) for x in (a, b))
        return jnp.einsum("n...i,n...j->...ij", *flat, precision="highest")

    @typed
    def merge(a: InputMoments, b: InputMoments) -> InputMoments:
        return InputMoments(a.total + b.total, a.weight + b.weight)

    @typed
    def compute(state: InputMoments) -> Float[Array, "..."]:
        require_seen(state.weight != 0)
        return state.total / state.weight

    return Metric(init, update, merge, compute)


@typed
def unfolded_inputs(columns: Float[Array, "*batch n"], *, channels: int, groups: int) -> Float[Array, "*batch g part"]:
    """The inputs of each group of a convolution, from the windows that `functional.im2col` puts side by side.

    `columns` has n = window · channels entries, the channels last; a group gets those of its own, n / groups, in the
    order of `kernel.reshape(-1, d_out)`. So the outputs of the convolution are, group by group, `unfolded[..., g, :]`
    times its columns of that matrix. Raises `ValueError` where channels do not divide n, or groups the channels.

    >>> unfolded_inputs(jnp.array([1.0, 2.0, 3.0, 4.0]), channels=2, groups=2)  # two pixels of two channels
    Array([[1., 3.],
           [2., 4.]], dtype=float32)
    """
    at_least(1, channels=channels, groups=groups)
    n = columns.shape[-1]
    if n % channels or channels % groups:
        raise ValueError(
            f"channels must divide the {n} entries of columns and be divided by groups, got {channels} and {groups}"
        )
    batch = columns.shape[:-1]
    pixels = columns.reshape(*batch, n // channels, groups, channels // groups)
    return jnp.swapaxes(pixels, -3, -2).reshape(*batch, groups, n // groups)


@typed
@fused
def product_error(
    kernel: Float[Array, "*window n d"], changed_kernel: Float[Array, "*window n d"], moments: Float[Array, "..."]
) -> Float[Array, ""]:
    """The mean over rows of the summed squares of what a change of the kernel does to the outputs.

    With Δ the change and M the moments it is the trace of Δᵀ · M · Δ. `moments` are those of `input_moments`, for each
    group or for all inputs. In float32, of float64 in float64. Raises `ValueError` where they do not fit the kernel.

    >>> product_error(jnp.zeros((2, 1)), jnp.array([[1.0], [2.0]]), jnp.eye(2))
    Array(5., dtype=float32)
    """
    change = by_group(widened(changed_kernel) - widened(kernel), moments)
    squares = widened(moments).reshape(change.shape[0], *moments.shape[-2:])
    return jnp.sum(change * full_product(squares, change))


@typed
def by_group(x: Shaped[Array, "..."], moments: Float[Array, "..."]) -> Shaped[Array, "g n part"]:
    """An array of a kernel's shape as a matrix for each group, inputs by outputs; raises where `moments` do not fit."""
    groups, d = moments.shape[0] if moments.ndim == 3 else 1, x.shape[-1] if x.ndim else 0
    n = x.size // max(d, 1)
    if moments.shape not in ((n, n), (groups, n, n)) or x.ndim < 2 or d % groups or not x.size:
        raise ValueError(
            f"moments must be [n, n] or [groups, n, n] for a kernel of n = {n} inputs and outputs that the groups "
            f"divide, got {tuple(moments.shape)} for {tuple(x.shape)}"
        )
    return jnp.swapaxes(jnp.asarray(x).reshape(n, groups, d // groups), 0, 1)


@typed
def from_groups(x: Shaped[Array, "g n part"], shape: tuple[int, ...]) -> Shaped[Array, "..."]:
    """The inverse of `by_group`, for a kernel of this shape."""
    return jnp.swapaxes(x, 0, 1).reshape(shape)
