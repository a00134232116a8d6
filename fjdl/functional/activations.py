"""Activation functions, each in the dtype of its input."""

import math

import jax
import jax.numpy as jnp

from fjdl import numerics
from fjdl.checks import within
from fjdl.functional.pointwise import pointwise
from fjdl.fused import fused
from fjdl.numerics import log1p_of_fraction, widened
from fjdl.typing import Array, Float, Number, typed


@typed
def identity(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`x` itself, the activation of a linear layer; equals `torch.nn.Identity`.

    >>> identity(jnp.array([-1.0, 2.0]))
    Array([-1.,  2.], dtype=float32)
    """
    return x


@typed
def relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`max(x, 0)`, with gradient 0 at 0; a NaN stays NaN.

    Nair & Hinton 2010. Equals `torch.nn.functional.relu`.

    >>> relu(jnp.array([-1.0, 0.0, 2.0]))
    Array([0., 0., 2.], dtype=float32)
    """
    return jnp.where(x <= 0, 0, x)


@typed
def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Hyperbolic tangent, `(eˣ - e⁻ˣ) / (eˣ + e⁻ˣ) = 2σ(2x) - 1`, in (-1, 1); equals `torch.tanh`.

    >>> tanh(jnp.array([-1.0, 0.0, 1.0]))
    Array([-0.7615...,  0.       ,  0.7615...], dtype=float32)
    """
    return jnp.tanh(x)


@typed
def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logistic sigmoid, `σ(x) = 1 / (1 + e⁻ˣ)`, in (0, 1).

    Its derivative `σ(x) (1 - σ(x))` is at most 1/4, reached at 0. Equals `torch.sigmoid`.

    >>> sigmoid(jnp.array([-1.0, 0.0, 1.0]))
    Array([0.2689..., 0.5       , 0.7310... ], dtype=float32)
    """
    return jax.lax.logistic(x)


@typed
def log_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logarithm of the sigmoid, `log σ(x) = -log(1 + e⁻ˣ)`, in nats, at most 0, without the sigmoid's underflow.

    Computed in float32; 0 at inf and -inf at -inf. Its derivative is `σ(-x)`. Equals `torch.nn.functional.logsigmoid`.

    >>> log_sigmoid(jnp.array([-100.0, 0.0, 1.0]))
    Array([-100.        ,   -0.6931... ,   -0.3132...], dtype=float32)
    """

    def value(x: Array) -> Array:
        return jnp.minimum(x, 0) - log1p_of_fraction(jnp.exp(-jnp.abs(x)))

    return pointwise(x, value=value, slope=lambda x: jax.lax.logistic(-x))


@typed
def softplus(x: Float[Array, "*shape"], *, beta: Number = 1.0) -> Float[Array, "*shape"]:
    """Smooth rectifier `log(1 + e^(βx)) / β`, positive, between `max(x, 0)` and `max(x, 0) + log(2) / β`.

    Computed in float32; 0 at -inf and inf at inf. Its derivative is `σ(βx)`; that with respect to a traced β is the
    negative entropy of a coin that falls so with probability `σ(βx)`, over β². Dugas et al. 2001. Equals
    `torch.nn.functional.softplus`, which is `x` itself beyond `βx = 20` and so up to 2e-9 / β smaller there. Raises
    `ValueError` for a `beta` that is not positive and finite.

    >>> softplus(jnp.array([-1.0, 0.0, 100.0]))
    Array([  0.3132...,   0.6931... , 100.        ], dtype=float32)
    """
    within("(0, inf)", beta=beta)

    def value(x: Array, beta: Array) -> Array:
        return jnp.maximum(x, 0) + log1p_of_fraction(jnp.exp(-beta * jnp.abs(x))) / beta

    def slope(x: Array, beta: Array) -> Array:
        return jax.lax.logistic(beta * x)

    def sensitivity(x: Array, beta: Array) -> Array:
        size = jnp.minimum(beta * jnp.abs(x), 800)
        small = jnp.exp(-size)
        return -(log1p_of_fraction(small) + size * small / (1 + small)) / beta / beta

    return pointwise(x, beta, value=value, slope=slope, sensitivities=(sensitivity,))


@typed
def softsign(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`x / (1 + |x|)`, in (-1, 1); ±1 with zero gradient at ±inf, where PyTorch gives NaN.

    Its derivative is `1 / (1 + |x|)²`, 1 at 0, where the second derivative, which jumps from 2 to -2, counts as 0.
    Bergstra et al. 2009. Equals `torch.nn.functional.softsign` on finite numbers.

    >>> softsign(jnp.array([-1.0, 0.0, 3.0]))
    Array([-0.5 ,  0.  ,  0.75], dtype=float32)
    """

    def value(x: Array) -> Array:
        infinite = jnp.isinf(x)
        return jnp.where(infinite, jnp.sign(x), x / (1 + jnp.where(infinite, 0, jnp.abs(x))))

    def slope(x: Array) -> Array:
        share = 1 / (1 + jnp.abs(x))
        return share * share

    return pointwise(x, value=value, slope=slope)


@typed
def tanhshrink(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`x - tanh(x)`, which is x³/3 near 0, to full relative precision there too.

    Computed in float32. Its derivative is `tanh²(x)`. Equals `torch.nn.functional.tanhshrink`, which loses all digits
    as `x` nears 0.

    >>> tanhshrink(jnp.array([-1.0, 0.0, 1.0]))
    Array([-0.2384...,  0.        ,  0.2384...], dtype=float32)
    """

    def value(x: Array) -> Array:
        near = jnp.abs(x) < 1
        z = jnp.where(near, x, 0)
        z2 = z * z  # below, tanh's continued fraction cut after the term 13, less z
        ratio = (45045 + z2 * (2772 + 27 * z2)) / (135135 + z2 * (62370 + z2 * (3150 + 28 * z2)))
        return jnp.where(near, z * z2 * ratio, x - jnp.tanh(x))

    return pointwise(x, value=value, slope=lambda x: jnp.square(jnp.tanh(jnp.clip(x, -40, 40))))


@typed
def erf(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Error function, `2/√π ∫₀ˣ exp(-t²) dt`, odd, in (-1, 1), computed in float32.

    Its derivative is `2/√π exp(-x²)`. Equals `torch.erf`.

    >>> erf(jnp.array([-1.0, 0.0, 1.0]))
    Array([-0.8427...,  0.        ,  0.8427...], dtype=float32)
    """
    return pointwise(
        x, value=jax.lax.erf, slope=lambda x: 2 / math.sqrt(math.pi) * jnp.exp(-jnp.square(jnp.clip(x, -30, 30)))
    )


@typed
@fused
def softmax(x: Float[Array, "*shape"], *, axis: int | tuple[int, ...] = -1) -> Float[Array, "*shape"]:
    """Probabilities `exp(xᵢ) / Σⱼ exp(xⱼ)` that sum to 1 along `axis`, or over all entries of several axes.

    Computed in float32 after subtracting the largest entry, so no entry overflows. Entries of -inf get probability 0;
    a row that is all -inf, as a full mask leaves it, is all 0 with zero gradient, where PyTorch gives NaN. Entries
    of +inf share all probability. Equals `torch.softmax` on finite rows, and `jax.nn.softmax` for several axes. Raises
    `ValueError` for an axis that `x` does not have, or that is given twice.

    >>> softmax(jnp.array([0.0, jnp.log(2.0), 0.0]))
    Array([0.25, 0.5 , 0.25], dtype=float32)
    """
    return numerics.softmax(widened(x), axis).astype(x.dtype)


@typed
@fused
def log_softmax(x: Float[Array, "*shape"], *, axis: int | tuple[int, ...] = -1) -> Float[Array, "*shape"]:
    """Log-probabilities `xᵢ - log Σⱼ exp(xⱼ)` along `axis`, in nats: the logarithm of `softmax`, without its underflow.

    Computed in float32. Infinite entries are treated as in `softmax`: a row that is all -inf stays -inf with zero
    gradient. Equals `torch.log_softmax` on finite rows, and `jax.nn.log_softmax` for several axes.

    >>> log_softmax(jnp.array([0.0, 0.0]))
    Array([-0.6931..., -0.6931...], dtype=float32)
    """
    return numerics.log_softmax(widened(x), axis).astype(x.dtype)


@typed
def sparsemax(x: Float[Array, "*shape"], *, axis: int = -1) -> Float[Array, "*shape"]:
    """Probabilities along `axis` of which many are 0: the point of the simplex that is nearest to `x`.

    They are `max(xᵢ - τ, 0)` with the threshold `τ` that makes their sum 1; an entry that is 1 or more below the
    largest is 0. The derivative is the tangent less its mean over the positive entries, and 0 at all others. Computed
    in float32 by a sort. A row that is all -inf is all 0 with zero gradient, and entries of +inf share all
    probability, as in `softmax`. Martins & Astudillo 2016, arXiv:1602.02068. Equals
    `optax.projections.projection_simplex` of each row.

    >>> sparsemax(jnp.array([0.0, 0.5, 1.0]))
    Array([0.  , 0.25, 0.75], dtype=float32)
    """
    return numerics.sparsemax(widened(x), axis).astype(x.dtype)
