"""Newton's method, for problems small enough for their whole Hessian."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from fjdl.autodiff.second_order import hessian
from fjdl.checks import within
from fjdl.numerics import full_product
from fjdl.optim.base import (
    LearningRate,
    Number,
    chain,
    like,
    require_real,
    scale_by_learning_rate,
    with_extra,
)
from fjdl.typing import Array, Float, PyTree, typed


@typed
def scale_by_newton(*, damping: Number = 0.0, saddle_free: bool = False) -> optax.GradientTransformationExtraArgs:
    """(H + damping · I)⁻¹ g with the Hessian H of the loss, or |H| in place of H for `saddle_free`.

    By the eigenvectors of H: each component of g is divided by its eigenvalue. The plain form goes to maxima and
    saddles as gladly as to minima, as `fjdl.autodiff.newton_step` does, to which it is equal. With |eigenvalues| it
    always descends (Dauphin et al. 2014, arXiv:1406.2572, with the whole Hessian). Damping (Levenberg 1944) bounds the
    step by ‖g‖ / damping where no eigenvalue is negative. A component whose eigenvalue, damped, is 0 up to rounding
    does not move, so a flat or singular loss gives the shortest step and no NaN. Time n³ and memory n² for n
    parameters. `update` takes the keyword `value_fn`, the loss as a function of the parameters. Raises `ValueError` for
    a negative damping.
    """
    within("[0, inf]", damping=damping)

    def update(
        updates: PyTree, state: PyTree, params: PyTree, *, value_fn: Callable[[PyTree], Array], **others: Any
    ) -> tuple[PyTree, PyTree]:
        del others
        require_real("newton", params)
        point, restore = _flattened(params)
        gradient, _ = _flattened(updates)
        matrix = hessian(lambda w: value_fn(restore(w)))(point)
        return restore(_solve(matrix, gradient, damping, saddle_free=saddle_free)), state

    return with_extra(lambda params: optax.EmptyState(), update)


@typed
def newton(
    *, damping: Number = 0.0, saddle_free: bool = False, learning_rate: LearningRate = 1.0
) -> optax.GradientTransformationExtraArgs:
    """Newton's method: w ← w − learning_rate · (H + damping · I)⁻¹ g, see `scale_by_newton`.

    One step with the defaults ends at the critical point of any quadratic. For a step that is chosen by the loss, chain
    `scale_by_newton`, `optax.scale(-1.0)` and `scale_by_backtracking`.
    """
    return chain(scale_by_newton(damping=damping, saddle_free=saddle_free), scale_by_learning_rate(learning_rate))


def _flattened(tree: PyTree) -> tuple[Float[Array, " n"], Callable[[Array], PyTree]]:
    """`ravel_pytree`, whose vector is whole on every device where the axes of the leaves' mesh are explicit."""
    shardings = jax.tree.map(lambda x: jax.typeof(x).sharding, tree)
    if not any(sharding.mesh.explicit_axes for sharding in jax.tree.leaves(shardings)):
        return ravel_pytree(tree)
    whole = jax.tree.map(lambda x: jax.sharding.reshard(x, jax.P()), tree)
    vector, restore = ravel_pytree(whole)
    return vector, lambda w: jax.tree.map(jax.sharding.reshard, restore(w), shardings)


def _solve(
    matrix: Float[Array, "n n"], gradient: Float[Array, " n"], damping: Number, *, saddle_free: bool
) -> Float[Array, " n"]:
    """The step, in the basis of the matrix's eigenvectors and back."""
    if gradient.size == 0:
        return gradient
    eigenvalues, vectors = jnp.linalg.eigh(matrix)
    curvature = (jnp.abs(eigenvalues) if saddle_free else eigenvalues) + like(damping, eigenvalues)
    rounding = gradient.size * jnp.finfo(curvature.dtype).eps * jnp.max(jnp.abs(curvature))
    flat = jnp.abs(curvature) <= rounding
    components = full_product(vectors.T, gradient)
    components = jnp.where(flat, 0, components / jnp.where(flat, 1, curvature))
    return full_product(vectors, components)
