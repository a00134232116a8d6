"""Second derivatives: Hessian, Hessian–vector product, Newton's step, and the kind of a critical point."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.autodiff.finite_difference import ScalarFunction
from fjdl.checks import within
from fjdl.typing import Array, Float, PyTree, typed

CriticalPoint = Literal["minimum", "maximum", "saddle", "degenerate", "none"]


def hessian(function: Callable[[PyTree], Array]) -> Callable[[PyTree], PyTree]:
    """The matrix of second derivatives, by forward mode over reverse mode; equals `jax.hessian`."""
    return jax.jacfwd(jax.jacrev(function))


def hvp(function: Callable[[PyTree], Array], x: PyTree, vector: PyTree) -> PyTree:
    """The Hessian at `x` times `vector` (Pearlmutter 1994), for the cost of a few gradients and without the matrix."""
    return jax.jvp(jax.grad(function), (x,), (vector,))[1]


@typed
def newton_step(function: ScalarFunction, x: Float[Array, " n"], *, damping: float = 0.0) -> Float[Array, " n"]:
    """`x - (H + damping · I)⁻¹ ∇f`: the critical point of the parabola that touches `function` at `x`.

    Exact in one step for a quadratic; it goes to maxima and saddles as gladly as to minima unless `damping` outweighs
    the negative curvature. Where the matrix is singular the result is not finite. Raises `ValueError` for a negative
    damping.
    """
    within("[0, inf]", damping=damping)
    matrix = hessian(function)(x) + damping * jnp.eye(x.shape[0], dtype=x.dtype)
    return x - jnp.linalg.solve(matrix, jax.grad(function)(x))


def classify_critical_point(function: ScalarFunction, x: Array, *, tolerance: float = 1e-5) -> CriticalPoint:
    """What kind of point a vector `x` is, by the signs of the Hessian's eigenvalues.

    "none" where an entry of the gradient exceeds `tolerance`, "degenerate" where an eigenvalue is that close to 0 and
    second derivatives do not decide. Needs concrete arrays.
    """
    x = jnp.asarray(x)
    if np.max(np.abs(jax.grad(function)(x)), initial=0.0) > tolerance:
        return "none"
    eigenvalues = np.linalg.eigvalsh(np.asarray(hessian(function)(x)))
    if np.min(np.abs(eigenvalues)) <= tolerance:
        return "degenerate"
    if np.all(eigenvalues > 0):
        return "minimum"
    return "maximum" if np.all(eigenvalues < 0) else "saddle"
