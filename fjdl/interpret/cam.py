"""Class activation maps: where the channels of one layer speak for a class.

A network is cut at that layer: `features` are what it gives, and `head` is the rest, which makes scores of them. Of a
network made of modules, `fjdl.nn.observed` gives both by the layer's path.
"""

import jax
import jax.numpy as jnp

from fjdl.functional.resize import resize2d
from fjdl.interpret.scores import Network, scores_of
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, Integer, typed


@typed
def grad_cam(head: Network, features: Float[Array, "n h w c"], classes: Integer[Array, " n"]) -> Float[Array, "n h w"]:
    """Grad-CAM: `max(Σ_k w_k A_k, 0)` in float32, where `w_k` is the mean of `∂S_c/∂A_k` over the pixels.

    `A` are the `features`, best those of the last convolution. Equals CAM, Zhou et al. 2015, up to a factor where the
    head is a mean over pixels and a linear layer. Selvaraju et al. 2016, arXiv:1610.02391.
    """
    slope = _slope(head, features, classes)
    return _weighed(features, jnp.mean(slope, axis=(1, 2)))


@typed
def grad_cam_plus_plus(
    head: Network, features: Float[Array, "n h w c"], classes: Integer[Array, " n"]
) -> Float[Array, "n h w"]:
    """Grad-CAM++: `w_k` is the sum of `a max(g, 0)` over pixels, `a = g² / (2 g² + (Σ A_k) g³)` and `g = ∂S_c/∂A_k`.

    `a` is 0 where its denominator is. These are the derivatives of `exp(S_c)`, whose own factor is left out: it scales
    each example's map alone. Chattopadhyay et al. 2017, arXiv:1710.11063, equations 18 and 19.
    """
    slope = _slope(head, features, classes)
    total = jnp.sum(widened(features), axis=(1, 2), keepdims=True)
    share = safe_divide(jnp.square(slope), 2 * jnp.square(slope) + total * slope**3)
    return _weighed(features, jnp.sum(share * jnp.maximum(slope, 0), axis=(1, 2)))


@typed
def enlarged(maps: Float[Array, "n h w"], *, size: tuple[int, int]) -> Float[Array, "n h_out w_out"]:
    """Maps at the size of the images they explain, by bilinear weights."""
    return resize2d(maps[..., None], size=size)[..., 0]


def _slope(head: Network, features: Array, classes: Array) -> Array:
    return widened(jax.grad(lambda features: jnp.sum(scores_of(head, features, classes)))(jnp.asarray(features)))


def _weighed(features: Array, weights: Array) -> Array:
    return jnp.maximum(jnp.sum(widened(features) * weights[:, None, None], axis=-1), 0)
