"""Sharpness-aware minimization."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fjdl import tree
from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.optim.base import Number, like
from fjdl.typing import Array, PyTree, typed


@typed
def sharpness_aware(
    transformation: optax.GradientTransformation, *, rho: Number = 0.05, adaptive: bool = False
) -> optax.GradientTransformationExtraArgs:
    """`transformation` of the gradient at w + ε, the worst point within ρ of w to first order: ε = ρ g / ‖g‖.

    The update takes the gradient function, as in `update(g, state, params, grad_fn=grad_fn)` where g = grad_fn(params),
    and calls it once more; the norm is over all leaves. Where g is 0 so is ε. A gradient that is not finite makes the
    update NaN. With `adaptive`, ε = ρ w² g / ‖|w| g‖, which does not change when layers are rescaled. The state is
    that of `transformation`. Foret et al. 2021, arXiv:2010.01412; adaptive: Kwon et al. 2021, arXiv:2102.11600. Equal
    to `optax.contrib.sam` in opaque mode around `normalize` and `sgd(rho)`, which makes NaN of a zero gradient. Raises
    `ValueError` for ρ ≤ 0 and without parameters or `grad_fn`.
    """
    within("(0, inf]", rho=rho)
    inner = optax.with_extra_args_support(transformation)

    def update(
        updates: PyTree,
        state: Any,
        params: PyTree = None,
        *,
        grad_fn: Callable[[PyTree], PyTree] | None = None,
        **extra: Any,
    ) -> tuple[PyTree, Any]:
        if params is None or grad_fn is None:
            raise ValueError(
                "params and grad_fn must be given to sharpness_aware as in update(…, params, grad_fn=grad_fn), got None"
            )
        worst = _ascended(params, updates, rho, adaptive=adaptive)
        return inner.update(grad_fn(worst), state, params, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)  # type: ignore[arg-type]


def _ascended(params: PyTree, gradients: PyTree, rho: Number, *, adaptive: bool) -> PyTree:
    """w + ε in the dtype of w."""
    gradients, weights = jax.tree.map(widened, gradients), jax.tree.map(widened, params)
    if adaptive:
        gradients = jax.tree.map(lambda g, w: jnp.abs(w) * g, gradients, weights)
    norm = tree.global_norm(gradients)
    norm = jnp.where(norm == 0, 1, jnp.where(jnp.isfinite(norm), norm, jnp.nan))

    def ascend(p: Array, w: Array, g: Array) -> Array:
        step = like(rho, g) * (g / norm.astype(g.dtype))
        return (w + (jnp.abs(w) * step if adaptive else step)).astype(jnp.result_type(p))

    return jax.tree.map(ascend, params, weights, gradients)
