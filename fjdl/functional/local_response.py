"""Local response normalization across channels."""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least, within
from fjdl.numerics import accumulate
from fjdl.typing import Array, Float, typed


@typed
def local_response_norm(
    x: Float[Array, "*batch c"],
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
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
    return _normalized(x, size, alpha / size if average else alpha, beta, k)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3, 4))
def _normalized(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    x_wide = accumulate(x)
    return (x_wide * _base(x_wide, size, alpha, k) ** -beta).astype(x.dtype)


@_normalized.defjvp
def _normalized_jvp(
    size: int, alpha: float, beta: float, k: float, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    """Stated with one power, that of the value; the derivative of the power would take another for every channel."""
    (x,), (tangent,) = primals, tangents
    x_wide, tangent_wide = accumulate(x), accumulate(tangent)
    base = _base(x_wide, size, alpha, k)
    factor = base**-beta
    spread = (2 * alpha * beta) * (x_wide * factor / base) * _spread(x_wide * tangent_wide, size)
    return (x_wide * factor).astype(x.dtype), (tangent_wide * factor - spread).astype(x.dtype)


def _base(x: Array, size: int, alpha: float, k: float) -> Array:
    return k + alpha * _neighbours(jnp.square(x), size)


def _neighbours(x: Array, size: int) -> Array:
    """Sums over a window of the last axis, as a sum of shifted slices, which XLA fuses."""
    width, before = x.shape[-1], size // 2
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)])
    return reduce(jnp.add, (lax.slice_in_dim(padded, start, start + width, axis=-1) for start in range(size)))


def _spread(x: Array, size: int) -> Array:
    """The same sums, written so that their transpose is a sum of slices: of pieces laid over each other, the middle.

    The barrier keeps XLA from computing each cotangent once for every window over it.
    """
    width, first = x.shape[-1], size - 1 - size // 2
    rest = [(0, 0)] * (x.ndim - 1)
    pieces = [jnp.pad(x, [*rest, (size - 1 - start, start)]) for start in range(size)]
    laid = lax.optimization_barrier(reduce(jnp.add, pieces))
    return lax.slice_in_dim(laid, first, first + width, axis=-1)
