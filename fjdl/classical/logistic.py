"""Logistic regression, binary and softmax, fitted to the optimum by Newton's method."""

from collections.abc import Callable

import jax
import jax.flatten_util
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.classical.linear import Linear, decision, zeros
from fjdl.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from fjdl.losses.reduce import weighted_sum
from fjdl.meshes import scan
from fjdl.numerics import full_product
from fjdl.typing import Array, Float, Int, Integer, typed

_HALVINGS = 10  # of a Newton step that is too long


@typed
def binary_loss(params: Linear, x: Float[Array, "n d"], targets: Float[Array, "n k"]) -> Float[Array, " n"]:
    """Binary cross entropy of each example in nats, summed over its outputs; one output for two classes."""
    return jnp.sum(sigmoid_cross_entropy(decision(params, x), targets), axis=-1)


@typed
def softmax_loss(params: Linear, x: Float[Array, "n d"], labels: Integer[Array, " n"]) -> Float[Array, " n"]:
    """Cross entropy of each example in nats."""
    return softmax_cross_entropy(decision(params, x), labels)


@typed
def fit_binary(
    x: Float[Array, "n d"],
    targets: Float[Array, " n"],
    weights: Float[Array, " n"] | None = None,
    *,
    l2: float = 1.0,
    iterations: int = 30,
) -> Linear:
    """The minimum of `Σ wᵢ · cross entropyᵢ + l2/2 ‖W‖²` over maps with one output; targets in [0, 1].

    Equals scikit-learn's `LogisticRegression(C=1/l2)`. With `l2=0` separable data have no minimum: the weights grow
    until `iterations` end. Raises `ValueError` for a negative `l2`.
    """

    def cost(params: Linear) -> Array:
        return weighted_sum(binary_loss(params, x, targets[:, None]), weights=weights)[0]

    return _newton(cost, zeros(x.shape[1], 1), l2=l2, iterations=iterations)


@typed
def fit_softmax(
    x: Float[Array, "n d"], labels: Integer[Array, " n"], *, classes: int, l2: float = 1.0, iterations: int = 30
) -> Linear:
    """The minimum of `Σ cross entropyᵢ + l2/2 ‖W‖²` over maps with one output per class.

    Equals scikit-learn's multinomial `LogisticRegression(C=1/l2)`, biases up to a common constant. Raises `ValueError`
    for a negative `l2`.
    """

    def cost(params: Linear) -> Array:
        return weighted_sum(softmax_loss(params, x, labels))[0]

    return _newton(cost, zeros(x.shape[1], classes), l2=l2, iterations=iterations)


@typed
def predict_binary(params: Linear, x: Float[Array, "n d"]) -> Int[Array, "n k"]:
    """1 where the probability `σ(x @ weights + bias)` is above one half, and 0 elsewhere, one half included."""
    return (decision(params, x) > 0).astype(jnp.int32)


@typed
def predict_class(params: Linear, x: Float[Array, "n d"]) -> Int[Array, " n"]:
    """The class with the largest output, the lowest of equals."""
    return jnp.argmax(decision(params, x), axis=-1)


def _newton(cost: Callable[[Linear], Array], start: Linear, *, l2: float, iterations: int) -> Linear:
    """Newton's method on `cost + l2/2 ‖W‖²`; of each step the half, quarter, ... that lowers it most.

    Directions in which the objective is flat, such as the common constant of softmax biases, are left alone.
    """
    within("[0, inf]", l2=l2)
    flat, unravel = jax.flatten_util.ravel_pytree(start)

    def objective(flat: Array) -> Array:
        params = unravel(flat)
        return cost(params) + 0.5 * l2 * jnp.sum(jnp.square(params.weights))

    def step(flat: Array, _: None) -> tuple[Array, None]:
        curvature, axes = jnp.linalg.eigh(jax.hessian(objective)(flat))
        steep = curvature > 10 * flat.size * jnp.finfo(flat.dtype).eps * curvature[-1]
        along = full_product(axes.T, jax.grad(objective)(flat))
        direction = full_product(axes, jnp.where(steep, along / jnp.where(steep, curvature, 1), 0))
        candidates = flat[None] - jnp.exp2(-jnp.arange(_HALVINGS))[:, None] * direction[None]
        costs = jax.vmap(objective)(candidates)
        best = jnp.argmin(costs)
        return jnp.where(costs[best] < objective(flat), candidates[best], flat), None

    flat, _ = scan(step, flat, length=iterations)
    return unravel(flat)
