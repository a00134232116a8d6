"""Dropout of entries, channels and examples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Number, PRNGKey, typed


@typed
def dropout(key: PRNGKey, x: Float[Array, "*shape"], *, rate: Number) -> Float[Array, "*shape"]:
    """`x` with each entry set to 0 with probability `rate` and all others divided by `1 - rate`, in the dtype of `x`.

    The expectation is `x` (inverted dropout, Srivastava et al. 2014, JMLR 15), so nothing is left to do at prediction.
    The same key gives the same mask. `rate` 0 keeps everything and `rate` 1 gives zeros. Equals
    `torch.nn.functional.dropout` up to the generator. Raises `ValueError` for a rate outside [0, 1].

    >>> dropout(jax.random.key(0), jnp.ones(3), rate=0.0)
    Array([1., 1., 1.], dtype=float32)
    """
    return _inverted(key, x, x.shape, rate)


@typed
def classic_dropout(key: PRNGKey, x: Float[Array, "*shape"], *, rate: Number) -> Float[Array, "*shape"]:
    """`x` with each entry set to 0 with probability `rate` and all others as they are, for training.

    The expectation is `(1 - rate) · x`, by which `classic_dropout_inference` multiplies at prediction (Srivastava et
    al. 2014, JMLR 15, who call `1 - rate` the probability p of keeping). The mask is that of `dropout` with the same
    key. Raises `ValueError` for a rate outside [0, 1].
    """
    return jnp.where(_kept(key, x.shape, rate), x, 0)


@typed
def classic_dropout_inference(x: Float[Array, "*shape"], *, rate: Number) -> Float[Array, "*shape"]:
    """`(1 - rate) · x`, the expectation of `classic_dropout`, for prediction; `rate` 1 gives zeros.

    >>> classic_dropout_inference(jnp.array([4.0]), rate=0.25)
    Array([3.], dtype=float32)
    """
    within("[0, 1]", rate=rate)
    return jnp.where(rate == 1, 0, widened(x) * (1 - rate)).astype(x.dtype)


@typed
def spatial_dropout(key: PRNGKey, x: Float[Array, "n *space c"], *, rate: Number) -> Float[Array, "n *space c"]:
    """`x` with each channel of each example set to 0 with probability `rate` and all others divided by `1 - rate`.

    Neighbouring pixels are alike, so that dropping single ones hides little (Tompson et al. 2015, arXiv:1411.4280).
    Equals `torch.nn.functional.dropout2d` on channels first, up to the generator. Raises `ValueError` for a rate
    outside [0, 1].
    """
    return _inverted(key, x, (x.shape[0], *[1] * (x.ndim - 2), x.shape[-1]), rate)


@typed
def stochastic_depth(key: PRNGKey, branch: Float[Array, "n *shape"], *, rate: Number) -> Float[Array, "n *shape"]:
    """The residual branch of each example set to 0 with probability `rate`, or divided by `1 - rate`.

    For `x + stochastic_depth(key, f(x), rate=rate)`. The expectation is `branch`, so nothing is left to do at
    prediction, where Huang et al. 2016, arXiv:1603.09382, multiply by `1 - rate`. Equals
    `torchvision.ops.stochastic_depth(mode="row")` up to the generator. Raises `ValueError` for a rate outside [0, 1].
    """
    return _inverted(key, branch, (branch.shape[0], *[1] * (branch.ndim - 1)), rate)


@typed
def dropout_masks(*, n: int) -> Bool[Array, "masks n"]:
    """All `2ⁿ` masks of `n` entries, True where kept, from none kept to all kept.

    Raises `ValueError` for more than 16 entries, or fewer than 0.

    >>> dropout_masks(n=2)
    Array([[False, False],
           [ True, False],
           [False,  True],
           [ True,  True]], dtype=bool)
    """
    if not 0 <= n <= 16:
        raise ValueError(f"n must lie in [0, 16] to count all 2^n masks, got {n}")
    return (jnp.arange(2**n)[:, None] >> jnp.arange(n)[None] & 1) == 1


@typed
def dropout_expectation(
    x: Float[Array, "n"], *, rate: Number, output: Callable[[Array], Array] = lambda dropped: dropped
) -> Float[Array, "..."]:
    """Exact expectation `Σ p(mask) · output(mask · x)` of classic dropout over all `2ⁿ` masks.

    A mask that keeps m of n entries has probability `(1 - rate)ᵐ · rateⁿ⁻ᵐ`. For an affine `output` this is
    `output((1 - rate) · x)`; for others it is what that rule at prediction only approximates. Summed in float32, in
    the dtype of the output. Raises `ValueError` for more than 16 entries and for a rate outside [0, 1].
    """
    within("[0, 1]", rate=rate)
    n = x.shape[0]
    masks = dropout_masks(n=n)
    outputs = jax.vmap(output)(jnp.where(masks, jnp.asarray(x)[None], 0))
    values = widened(outputs)
    by_kept = jnp.asarray([(1 - rate) ** kept * rate ** (n - kept) for kept in range(n + 1)], values.dtype)
    weights = by_kept[jnp.sum(masks, axis=1)].reshape(-1, *[1] * (values.ndim - 1))
    return jnp.sum(jnp.where(weights == 0, 0, weights * values), axis=0).astype(outputs.dtype)


def _inverted(key: PRNGKey, x: Array, mask_shape: tuple[int, ...], rate: Number) -> Array:
    kept = jnp.broadcast_to(_kept(key, mask_shape, rate), x.shape)
    return jnp.where(kept, widened(x) * _inverse(rate), 0).astype(x.dtype)


def _kept(key: PRNGKey, shape: tuple[int, ...], rate: Number) -> Bool[Array, "..."]:
    return jax.random.bernoulli(key, 1.0 - _probability(rate), shape)


def _inverse(rate: Number) -> Number:
    """1 / (1 - rate), and 1 for rate 1, which keeps nothing."""
    if isinstance(rate, int | float):
        return 1 / (1 - rate) if rate < 1 else 1.0
    return 1 / jnp.where(rate < 1, 1 - rate, 1)


def _probability(rate: Number) -> Number:
    within("[0, 1]", rate=rate)
    return rate
