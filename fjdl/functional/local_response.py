"""Local response normalization across channels."""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least, within
from fjdl.functional.pointwise import absent, parameter_of
from fjdl.geometry import Axis
from fjdl.lowering import windows
from fjdl.numerics import widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Float, Number, typed


@typed
def local_response_norm(
    x: Float[Array, "*batch c"],
    *,
    size: int = 5,
    alpha: Number = 1e-4,
    beta: Number = 0.75,
    k: Number = 2.0,
    average: bool = False,
) -> Float[Array, "*batch c"]:
    """`xᵢ / (k + alpha · Σⱼ xⱼ²)^beta`, summed over the `size` channels j around channel i, in the dtype of `x`.

    Channels beyond the ends count as 0; of an even size the larger half lies before channel i. The defaults are those
    of Krizhevsky, Sutskever & Hinton 2012, §3.3. `average` divides alpha by `size`, as
    `torch.nn.functional.local_response_norm` does, which this then equals.
    Computed in float32. Raises `ValueError` for a size below 1, a negative alpha, and a k that is not positive.
    """
    at_least(1, size=size)
    within("[0, inf)", alpha=alpha)
    within("(0, inf)", k=k)
    numbers = (parameter_of(x, number) for number in (alpha / size if average else alpha, beta, k))
    return _normalized(size, x, *numbers)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _normalized(size: int, x: Array, alpha: Array, beta: Array, k: Array) -> Array:
    values = widened(x)
    return (values * (k + alpha * _neighbours(jnp.square(values), size)) ** -beta).astype(x.dtype)


def _normalized_jvp(size: int, primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    """Stated with one power, that of the value; the derivative of the power would take another for every channel."""
    (x, alpha, beta, k), (by_x, by_alpha, by_beta, by_k) = primals, tangents
    values = widened(x)
    squares = _neighbours(jnp.square(values), size)
    base = k + alpha * squares
    factor = base**-beta
    steep = beta * (values * factor / base)
    change = jnp.zeros_like(values)
    if not absent(by_x):
        moved = widened(by_x)
        change = moved * factor - 2 * alpha * steep * _spread(values * moved, size)
    if not absent(by_alpha):
        change -= steep * squares * by_alpha
    if not absent(by_beta):
        change -= values * factor * jnp.log(base) * by_beta
    if not absent(by_k):
        change -= steep * by_k
    return (values * factor).astype(x.dtype), change.astype(x.dtype)


_normalized.defjvp(_normalized_jvp, symbolic_zeros=True)


def _neighbours(x: Array, size: int) -> Array:
    """Sums over a window of the last axis."""
    return by_platform(x, tpu=partial(_windows, size), elsewhere=partial(_slices, size))


def _spread(x: Array, size: int) -> Array:
    """The same sums, written for their transpose."""
    return by_platform(x, tpu=partial(_windows, size), elsewhere=partial(_pieces, size))


def _windows(size: int, x: Array) -> Array:
    channels, before = x.shape[-1], size // 2
    axis = Axis(channels, size, 1, (before, size - 1 - before), dilation=1, output=channels, position=-1)
    return windows.sums(x, (axis,))


def _slices(size: int, x: Array) -> Array:
    """Sums over windows as a sum of shifted slices, which XLA:CPU fuses."""
    width, before = x.shape[-1], size // 2
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)])
    return reduce(jnp.add, (lax.slice_in_dim(padded, start, start + width, axis=-1) for start in range(size)))


def _pieces(size: int, x: Array) -> Array:
    """The same as pieces laid over each other, of which it is the middle, so that the transpose is a sum of slices.

    The barrier keeps XLA:CPU from computing each cotangent once for every window over it.
    """
    width, first = x.shape[-1], size - 1 - size // 2
    rest = [(0, 0)] * (x.ndim - 1)
    pieces = [jnp.pad(x, [*rest, (size - 1 - start, start)]) for start in range(size)]
    laid = lax.optimization_barrier(reduce(jnp.add, pieces))
    return lax.slice_in_dim(laid, first, first + width, axis=-1)
