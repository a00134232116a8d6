"""Numerical guards that every floor shares."""

from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike

from fjdl.fused import fused
from fjdl.integers import require_fit, require_kept
from fjdl.meshes import fori_loop
from fjdl.platforms import by_platform
from fjdl.typing import Array, Bool, Float, Inexact, Integer, Num

# Columns beyond which XLA:CPU sums exponentials on one core: 160 ms for 2240 rows of 33,278, and 30 ms in blocks of
# columns (jaxlib 0.10.2 and 0.12.0, 2 cores).
WIDE = 2**15
BLOCK = 256  # columns


def wide(dtype: DTypeLike) -> jnp.dtype:
    """The dtype sums are kept in: float64 and complex numbers keep theirs, everything else is summed in float32."""
    return jnp.dtype(dtype if dtype == jnp.float64 or jnp.issubdtype(dtype, jnp.complexfloating) else jnp.float32)


def widened(x: Num[Array, "..."]) -> Inexact[Array, "..."]:
    """`x` in the dtype sums are kept in, see `wide`."""
    x = jnp.asarray(x)
    return x.astype(wide(x.dtype))


def stored(x: Num[Array, "..."]) -> Inexact[Array, "..."]:
    """`x` in the dtype sums are kept in, rounded to its own dtype whatever a compiler makes of the program.

    XLA may go on with the float32 number from which a bfloat16 one is rounded (`xla_allow_excess_precision`, on by
    default), in one use of it and not in another: then a number is not equal to itself. What is compared is stored.
    """
    wider = widened(x)
    if wider.dtype == x.dtype or not jnp.issubdtype(x.dtype, jnp.floating):
        return wider
    return jax.lax.reduce_precision(wider, jnp.finfo(x.dtype).nexp, jnp.finfo(x.dtype).nmant)


def full_product(a: Inexact[Array, "..."], b: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """`a @ b` whose factors no platform rounds: for what is fitted, estimated or counted, in networks it is slow."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def real(dtype: DTypeLike) -> jnp.dtype:
    """The dtype of a number's modulus: float32 for complex64, float64 for complex128, others are their own."""
    return jnp.dtype(jnp.finfo(dtype).dtype if jnp.issubdtype(dtype, jnp.complexfloating) else dtype)


def squared_modulus(x: Inexact[Array, "..."]) -> Float[Array, "..."]:
    """|x|², which is x² of a real number; squares of parts beyond 1e19 overflow float32."""
    return jnp.square(x.real) + jnp.square(x.imag) if jnp.iscomplexobj(x) else jnp.square(x)


def signed(labels: Integer[Array, "..."] | Bool[Array, "..."], *, name: str = "labels") -> Integer[Array, "..."]:
    """Labels in a signed dtype that holds every class number, so that uint8 compares with 1000 classes.

    Raises `ValueError` with the `name` where a concrete label does not fit that dtype; a traced one that does not, as
    2³² - 1 of uint32, becomes its largest number, which is no class, and never -1.
    """
    require_kept(name, labels)
    dtype = jnp.result_type(int) if labels.dtype.itemsize == 8 or labels.dtype == jnp.uint32 else jnp.dtype(jnp.int32)
    if labels.dtype not in (jnp.uint32, jnp.uint64):
        return jnp.asarray(labels).astype(dtype)
    if not isinstance(labels, Tracer):
        require_fit(name, np.asarray(labels), dtype)
    return jnp.minimum(labels, jnp.iinfo(dtype).max).astype(dtype)


def comparable(
    a: Integer[Array, "..."] | Bool[Array, "..."], b: Integer[Array, "..."] | Bool[Array, "..."], *names: str
) -> tuple[Integer[Array, "..."] | Bool[Array, "..."], Integer[Array, "..."] | Bool[Array, "..."]]:
    """Both in one dtype, in which they are equal exactly where their numbers are; `names` are those of `signed`."""
    if a.dtype == b.dtype:
        for name, x in zip(names, (a, b), strict=True):
            require_kept(name, x)
        return jnp.asarray(a), jnp.asarray(b)
    a, b = (signed(x, name=name) for x, name in zip((a, b), names, strict=True))
    dtype = max(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
    return a.astype(dtype), b.astype(dtype)


def is_label(labels: Integer[Array, "..."], label: int, *, name: str) -> Bool[Array, "..."]:
    """Where the labels are `label`, compared as whole numbers; one that no label can hold is refused by its `name`.

    >>> is_label(jnp.array([0, 255]), 255, name="ignore_label")
    Array([False,  True], dtype=bool)
    """
    labels = signed(labels)
    require_fit(name, label, labels.dtype)
    return labels == label


@fused
def safe_divide(
    numerator: Inexact[Array, "..."], denominator: Inexact[Array, "..."], *, otherwise: float = 0.0
) -> Inexact[Array, "..."]:
    """`numerator / denominator`, and `otherwise` with zero gradient where the denominator is 0.

    Both are scaled by the denominator, so the gradient never squares one as small as 1e-30.

    >>> safe_divide(jnp.array([1.0, 1.0]), jnp.array([2.0, 0.0]))
    Array([0.5, 0. ], dtype=float32)
    """
    zero = denominator == 0
    scale = jax.lax.stop_gradient(jnp.where(zero | jnp.isinf(denominator), 1, denominator))
    return jnp.where(zero, otherwise, numerator / scale / jnp.where(zero, 1, denominator / scale))


def log1p_of_fraction(x: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """log(1 + x) of x in [0, 1], to full relative precision; in float32 three times as fast as `jnp.log1p` on CPU.

    It is 2 atanh(x / (2 + x)), in float32 by seven terms of its series, whose rest is below 2e-8 of the sum.
    """
    if x.dtype == jnp.float64:
        return jnp.log1p(x)
    twice = 2 * x / (2 + x)
    square = jnp.square(0.5 * twice)
    return twice * reduce(lambda total, n: total * square + 1 / n, range(11, 0, -2), jnp.full_like(x, 1 / 13))


@fused
def below_largest(x: Inexact[Array, "..."], *, axis: int | tuple[int, ...]) -> Inexact[Array, "..."]:
    """`x` less the largest entry along the axes; where that is inf, its entries are 0 and all others -inf.

    Written without selections, which XLA:CPU would keep from fusing with sums. Not meant to be differentiated.
    """
    return _below(x, jnp.max(x, axis=axis, keepdims=True, initial=-jnp.inf))


def _below(x: Inexact[Array, "..."], largest: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    limit = jnp.asarray(jnp.finfo(x.dtype).max, x.dtype)
    stretch = jnp.where(largest == jnp.inf, limit, 1)
    return jnp.minimum(x - jnp.clip(largest, -limit, limit), 0) * stretch


def _total(
    x: Inexact[Array, "..."], exponentials: Inexact[Array, "..."], axis: int | tuple[int, ...]
) -> Inexact[Array, "..."]:
    """The sum of `exponentials`, those of `below_largest(x)`, on a CPU: those of very many columns in blocks."""
    columns = x.shape[axis] if axis in (-1, x.ndim - 1) else 0
    if isinstance(columns, int) and columns > WIDE:
        return _total_in_blocks(x)
    return jnp.sum(exponentials, axis=axis, keepdims=True)


def _total_in_blocks(x: Inexact[Array, "*batch k"]) -> Inexact[Array, "*batch 1"]:
    largest, whole = jnp.max(x, axis=-1, keepdims=True), x.shape[-1] // BLOCK

    def add(number: Any, total: Array) -> Array:
        part = jax.lax.dynamic_slice_in_dim(x, number * BLOCK, BLOCK, x.ndim - 1)
        return total + jnp.exp(_below(part, largest))

    total = fori_loop(0, whole, add, jnp.zeros((*x.shape[:-1], BLOCK), x.dtype))
    rest = jnp.exp(_below(x[..., whole * BLOCK :], largest))
    return jnp.sum(total, axis=-1, keepdims=True) + jnp.sum(rest, axis=-1, keepdims=True)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def softmax(x: Inexact[Array, "..."], axis: int | tuple[int, ...]) -> Inexact[Array, "..."]:
    """exp(x) over its sum along `axis`, or along several; 0 in a row that is all -inf, and entries of inf share all.

    Its derivative is stated, y (t − Σ y t), so that one pass over memory computes it from y alone.
    """
    return by_platform(x, cpu=partial(_softmax_of_rows, axis=axis), elsewhere=partial(_softmax_at_once, axis=axis))


def _softmax_of_rows(x: Inexact[Array, "..."], *, axis: int | tuple[int, ...]) -> Inexact[Array, "..."]:
    weights = jnp.exp(below_largest(x, axis=axis))
    total = _total(x, weights, axis)
    return weights / jnp.where(total == 0, 1, total)


def _softmax_at_once(x: Inexact[Array, "..."], *, axis: int | tuple[int, ...]) -> Inexact[Array, "..."]:
    """`softmax` with nothing computed for a row apart from its largest entry and its sum: one program on a TPU.

    Of 33.5 million float32 entries in rows of 256 it has 1.05 million cycles by the compiler's estimate, and the other
    form 2.33 million (libtpu 0.0.42.1). Infinities become the ends of the finite numbers; -inf stays below the others,
    so that the lowest two finite numbers count as one.
    """
    limits = jnp.finfo(x.dtype)
    second = jnp.nextafter(limits.min, jnp.zeros((), x.dtype))
    finite = jnp.where(x == -jnp.inf, limits.min, jnp.clip(x, second, limits.max))
    weights = jnp.exp(finite - jnp.max(finite, axis=axis, keepdims=True, initial=-jnp.inf))
    shares = weights / jnp.sum(weights, axis=axis, keepdims=True)
    return shares - jnp.where(x == -jnp.inf, shares, 0)  # a product with 0 becomes a selection, which loses NaN


@softmax.defjvp
def _softmax_jvp(axis: int | tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    y, (tangent,) = softmax(*primals, axis), tangents
    return y, y * (tangent - jnp.sum(y * tangent, axis=axis, keepdims=True))


def log_softmax(x: Inexact[Array, "..."], axis: int | tuple[int, ...]) -> Inexact[Array, "..."]:
    """The logarithm of `softmax`, without rounding to 0 first; -inf in a row that is all -inf.

    Its derivative is stated, t − Σ softmax(x) t, and 0 where the largest entry is infinite.
    """
    return _log_softmax(x, axis)[0]


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _log_softmax(x: Inexact[Array, "..."], axis: int | tuple[int, ...]) -> tuple[Array, Array]:
    """`log_softmax`, and for each row 0 where its largest entry is infinite and 1 elsewhere, a constant."""
    forms = {"cpu": _log_softmax_of_rows, "elsewhere": _log_softmax_in_few}
    return by_platform(x, **{platform: partial(form, axis=axis) for platform, form in forms.items()})


def _log_softmax_of_rows(x: Inexact[Array, "..."], *, axis: int | tuple[int, ...]) -> tuple[Array, Array]:
    shifted = below_largest(x, axis=axis)
    total = _total(x, jnp.exp(shifted), axis)
    settled = jnp.isinf(jnp.max(x, axis=axis, keepdims=True, initial=-jnp.inf))
    return shifted - jnp.log(jnp.where(total == 0, 1, total)), jnp.where(settled, 0, jnp.ones_like(total))


def _log_softmax_in_few(x: Inexact[Array, "..."], *, axis: int | tuple[int, ...]) -> tuple[Array, Array]:
    """`_log_softmax` with nothing computed for a row apart from its largest entry and what its sum says.

    Entries of inf are counted below 0. Of 33.5 million float32 entries in rows of 256, values and gradient have 2.98
    million cycles on a TPU by its compiler's estimate, and 3.61 million in the other form (libtpu 0.0.42.1).
    """
    largest = jnp.max(x, axis=axis, keepdims=True, initial=-jnp.inf)
    shifted = jnp.where(jnp.isinf(x), jnp.minimum(x, 0), x - largest)
    total = jnp.sum(jnp.where(x == jnp.inf, -1, jnp.exp(shifted)), axis=axis, keepdims=True)
    return shifted - jnp.log(jnp.maximum(jnp.abs(total), 1)), jnp.where(total <= 0, 0, jnp.ones_like(total))


@_log_softmax.defjvp
def _log_softmax_jvp(axis: int | tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]) -> Any:
    (y, moves), (tangent,) = _log_softmax(*primals, axis), tangents
    expected = jnp.sum(jnp.exp(y) * tangent, axis=axis, keepdims=True)
    return (y, moves), ((tangent - expected) * moves, jnp.zeros_like(moves))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def sparsemax(x: Inexact[Array, "..."], axis: int) -> Inexact[Array, "..."]:
    """The point of the simplex nearest to `x` along `axis`; 0 in a row that is all -inf, and entries of inf share all.

    Its derivative is stated: the tangent less its mean where the result is positive, and 0 elsewhere.
    """
    return nearest_on_simplex(below_largest(x, axis=axis), axis=axis)[0]


@sparsemax.defjvp
def _sparsemax_jvp(axis: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    y, (tangent,) = sparsemax(*primals, axis), tangents
    support = (y > 0).astype(y.dtype)
    mean = jnp.sum(support * tangent, axis=axis, keepdims=True)
    return y, support * (tangent - mean / jnp.maximum(jnp.sum(support, axis=axis, keepdims=True), 1))


def nearest_on_simplex(below: Float[Array, "..."], *, axis: int) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """`max(x - τ, 0)` of sum 1 along `axis`, and τ, for `x` as `below_largest` gives it. Not to be differentiated.

    The entries above τ are the largest ones: as many of them, in order, as `1 + j x_j` exceeds the sum of the first j.
    Held et al. 1974.
    """
    ordered = jnp.sort(below, axis=axis, descending=True)
    numbers = jax.lax.broadcasted_iota(below.dtype, below.shape, axis % below.ndim) + 1
    inside = 1 + numbers * ordered > jnp.cumsum(ordered, axis=axis)
    count = jnp.sum(inside, axis=axis, keepdims=True, dtype=below.dtype)
    total = jnp.sum(jnp.where(inside, ordered, 0), axis=axis, keepdims=True)
    threshold = (total - 1) / jnp.maximum(count, 1)
    return jnp.maximum(below - threshold, 0), threshold


@fused
def norm(x: Inexact[Array, "..."], *, axis: int | tuple[int, ...] = -1) -> Float[Array, "..."]:
    """Euclidean norm along `axis`, kept with length 1, or over several; 0 with zero gradient at a zero vector.

    Scaled by the largest entry, so squares neither overflow at 1e30 nor vanish at 1e-30.
    """
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0.0))
    zero = scale == 0
    scale = jnp.where(zero, 1, scale)
    total = jnp.sum(squared_modulus(x / scale), axis=axis, keepdims=True)
    return jnp.where(zero, 0, scale * jnp.sqrt(jnp.where(zero, 1, total)))


@fused
def unit(x: Inexact[Array, "..."], *, axis: int = -1) -> Inexact[Array, "..."]:
    """`x` divided by its Euclidean norm along `axis`; 0 with zero gradient at a zero vector."""
    scale = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0.0))
    x = safe_divide(x, scale)
    return safe_divide(x, norm(x, axis=axis))
