"""Steps whose numbers are not finite are skipped and counted."""

from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.meshes import varying, varying_axes
from fjdl.optim.base import increment, scalar
from fjdl.typing import Array, Bool, PyTree, typed


class SkipState(NamedTuple):
    """What the guard counts."""

    skipped: Array  # shape (), int32: steps skipped so far
    consecutive: Array  # shape (), int32: steps skipped since the last good one
    inner: Any  # state of the guarded transformation


@typed
def skip_non_finite(transformation: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """`transformation`, whose update is 0 and whose state stays as it is where a number is not finite.

    A step is skipped for a NaN or an infinity in the gradients, in the updates in the dtype in which they leave, or in
    an entry of the inner state that was finite before, such as Adam's square of 1e20; then parameters and inner state
    stay the same to the bit. `skipped` and `consecutive` count such steps for the log, and no count of them lets a NaN
    through: `optax.apply_if_finite` applies it after `max_consecutive_errors`.
    """
    inner = optax.with_extra_args_support(transformation)

    def init(params: PyTree) -> SkipState:
        return SkipState(scalar(params), scalar(params), varying(inner.init(params), varying_axes(params)))

    def update(updates: PyTree, state: SkipState, params: PyTree = None, **extra: Any) -> tuple[PyTree, SkipState]:
        result, after = inner.update(updates, state.inner, params, **extra)
        good = all_finite(updates) & all_finite(result) & _stays_finite(state.inner, after)
        skipped = jnp.where(good, state.skipped, increment(state.skipped))
        consecutive = jnp.where(good, 0, increment(state.consecutive))
        kept = choose(good, after, state.inner)
        return choose(good, result, unmoved(result)), SkipState(skipped, consecutive, kept)

    return optax.GradientTransformationExtraArgs(init, update)  # type: ignore[arg-type]  # optax types every state alike


@typed
def all_finite(values: PyTree) -> Bool[Array, ""]:
    """Whether no leaf has a NaN or an infinity; true of an empty tree, and integers and keys always are."""
    return _conjunction([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(values) if _inexact(leaf)])


def choose(condition: Array, chosen: PyTree, otherwise: PyTree) -> PyTree:
    """One of two trees of the same form, bit for bit."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), chosen, otherwise)


def unmoved(updates: PyTree) -> PyTree:
    """Updates of −0, which change no bit of a parameter w: `w + (−0)` is w, but `w + 0` is +0 where w is −0."""
    return jax.tree.map(lambda u: -jnp.zeros_like(u), updates)


def _stays_finite(before: PyTree, after: PyTree) -> Array:
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return _conjunction([jnp.all(jnp.isfinite(a) | (a == b) | jnp.isnan(b)) for b, a in pairs if _inexact(a)])


def _inexact(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)


def _conjunction(conditions: list[Array]) -> Array:
    return reduce(jnp.logical_and, conditions, jnp.asarray(True))
