"""Gradient clipping."""

import jax
import jax.numpy as jnp
import optax

from fjdl import tree
from fjdl.checks import within
from fjdl.numerics import norm, widened
from fjdl.optim.base import Number, like, require_params, require_real, stateless
from fjdl.typing import Array, PyTree, typed


@typed
def clip_by_global_norm(max_norm: Number) -> optax.GradientTransformationExtraArgs:
    """Updates shrunk together so that their Euclidean norm over all leaves is at most `max_norm`.

    Smaller ones pass unchanged. Pascanu et al. 2013, arXiv:1211.5063; equal to `optax.clip_by_global_norm`, but entries
    of 1e30, whose squares overflow, are shrunk right instead of becoming 0. Where the norm is not finite every update
    is NaN, so that a bad step shows instead of passing for a small one. Raises `ValueError` where `max_norm` is not
    positive.
    """
    within("(0, inf]", max_norm=max_norm)

    def update(updates: PyTree, params: PyTree) -> PyTree:
        del params
        factor = _factor(tree.global_norm(updates), max_norm)
        return jax.tree.map(lambda u: like(factor, u) * u, updates)

    return stateless(update)


@typed
def clip_by_norm(max_norm: Number) -> optax.GradientTransformationExtraArgs:
    """Each leaf shrunk by itself so that its Euclidean norm is at most `max_norm`.

    It changes the direction of the whole step, unlike `clip_by_global_norm`, but one bad leaf is NaN by itself. Equal
    to `tf.clip_by_norm` and `clipnorm` of Keras. Raises `ValueError` where `max_norm` is not positive.
    """
    within("(0, inf]", max_norm=max_norm)

    def clip(u: Array) -> Array:
        return like(_factor(tree.global_norm(u), max_norm), u) * u

    return stateless(lambda updates, params: jax.tree.map(clip, updates))


@typed
def clip_by_value(limit: Number) -> optax.GradientTransformationExtraArgs:
    """Each entry of the updates brought into [−limit, limit].

    An infinity becomes the limit, a NaN stays: put `skip_non_finite` around the chain to have both skipped. Equal to
    `optax.clip` and `torch.nn.utils.clip_grad_value_`. Raises `ValueError` where `limit` is not positive.
    """
    within("(0, inf]", limit=limit)

    def clip(u: Array) -> Array:
        require_real("clip_by_value", u)
        return jnp.clip(u, -like(limit, u), like(limit, u))

    return stateless(lambda updates, params: jax.tree.map(clip, updates))


@typed
def adaptive_clip(ratio: Number, *, eps: Number = 1e-3) -> optax.GradientTransformationExtraArgs:
    """Each unit's gradient shrunk so that its norm is at most ratio · max(‖w‖, eps), where w are the unit's weights.

    A unit is what feeds one output: a slice of a kernel over all axes but the last, as in Flax, or a whole leaf of
    fewer than two axes. Brock et al. 2021, arXiv:2102.06171, where eps lets weights of zero begin to learn and the last
    linear layer is left out, see `partition`. Equal to `optax.adaptive_grad_clip`, which for three axes sums over the
    first alone. A unit whose norm is not finite is NaN. Raises `ValueError` where `ratio` or `eps` is not positive, and
    where `update` is not given the parameters.
    """
    within("(0, inf]", ratio=ratio)
    within("(0, inf]", eps=eps)

    def clip(u: Array, w: Array) -> Array:
        limit = like(ratio, w) * jnp.maximum(_unit_norm(w), like(eps, w))
        return _factor(_unit_norm(u), limit) * u

    def update(updates: PyTree, params: PyTree) -> PyTree:
        require_params("adaptive_clip", params)
        return jax.tree.map(clip, updates, params)

    return stateless(update)


@typed
def per_example_clip(gradients: PyTree, *, max_norm: Number) -> PyTree:
    """The mean over examples of gradients each shrunk to a Euclidean norm of at most `max_norm` over all leaves.

    Leaves have the examples on their first axis, as from `jax.vmap(jax.grad(loss), in_axes=(None, 0))`. One example
    moves the mean by at most max_norm / n: Abadi et al. 2016, arXiv:1607.00133, before the noise. It is a mean, and
    `optax.per_example_global_norm_clip` returns the sum, n times as much. It has the gradients' dtype; 0 for no
    examples, NaN where an example's norm is not finite. Raises `ValueError` where `max_norm` is not positive, or the
    first axes differ.
    """
    within("(0, inf]", max_norm=max_norm)
    leaves = jax.tree.leaves(gradients)
    shapes = [jnp.shape(leaf) for leaf in leaves]
    if len({shape[:1] for shape in shapes}) > 1 or () in shapes:
        raise ValueError(f"gradients must share a first axis of examples, got shapes {shapes}")
    if not leaves:
        return gradients
    norms = jax.vmap(tree.global_norm)(gradients)
    share = _factor(norms, max_norm) / max(norms.size, 1)

    def average(g: Array) -> Array:
        mean = jnp.tensordot(share.astype(widened(g).dtype), widened(g), axes=1, precision=jax.lax.Precision.HIGHEST)
        return mean.astype(g.dtype)

    return jax.tree.map(average, gradients)


def _factor(length: Array, limit: Number | Array) -> Array:
    """What brings `length` to at most `limit`; 1 if it is, NaN where it is not finite."""
    limit = jnp.asarray(limit, length.dtype)
    return jnp.where(jnp.isfinite(length), limit / jnp.maximum(length, limit), jnp.nan)


def _unit_norm(x: Array) -> Array:
    """Norms over all axes but the last, which broadcast against `x`; the whole norm below two axes."""
    if x.ndim < 2:
        return tree.global_norm(x)
    return norm(x, axis=tuple(range(x.ndim - 1)))
