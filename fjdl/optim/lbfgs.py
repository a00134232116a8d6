"""L-BFGS: curvature from the last few steps."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl import tree
from fjdl.meshes import scan
from fjdl.numerics import safe_divide
from fjdl.optim.base import Count, Number, at_least_static, chain, like, scalar, transformation, zeros
from fjdl.optim.line import inner, widest
from fjdl.optim.strong_wolfe import scale_by_strong_wolfe
from fjdl.typing import Array, PyTree, Scalar, typed


class LBFGSState(NamedTuple):
    """What L-BFGS remembers, in a ring of m = `memory` pairs."""

    started: Array  # shape (), bool: whether the two below are those of a step
    params: PyTree  # those of the last update: the parameters' shapes, float32 (float64 for float64 parameters)
    gradient: PyTree  # the same
    moves: PyTree  # s of the paper, differences of parameters: shapes (m, *shape of the parameter)
    turns: PyTree  # y of the paper, differences of gradients: the same
    weights: Array  # 1 / sᵀy, shape (m,), 0 for a place that is empty
    position: Array  # shape (), int32: the place of the next pair
    scale: Array  # shape (): sᵀy / yᵀy of the newest pair, 0 before any


@typed
def scale_by_lbfgs(*, memory: Count = 10) -> optax.GradientTransformationExtraArgs:
    """H g, with the inverse Hessian H of the BFGS method as the last `memory` pairs s = Δw, y = Δg make it.

    The two-loop recursion from H₀ = (sᵀy / yᵀy) I of the newest pair: Liu & Nocedal 1989, algorithm 2.1; Nocedal &
    Wright 2006, algorithm 7.4. Before the first pair it is g · min(1, 1 / ‖g‖). A pair without positive curvature,
    sᵀy ≤ ε ‖s‖ ‖y‖ with the ε of the dtype, is left out, so H is always positive definite and −H g a direction of
    descent. Equal to `optax.scale_by_lbfgs` while every pair has positive curvature, and the direction of
    `torch.optim.LBFGS`, whose first step alone is scaled by the sum of |g|. It needs gradients without noise, those of
    the whole data set. Raises `ValueError` where `memory` is below 1.
    """
    at_least_static(1, memory=memory)

    def init(params: PyTree) -> LBFGSState:
        ring = jax.tree.map(lambda z: jnp.broadcast_to(z, (memory, *z.shape)), zeros(params))
        return LBFGSState(
            started=jnp.zeros((), bool),
            params=zeros(params),
            gradient=zeros(params),
            moves=ring,
            turns=jax.tree.map(jnp.copy, ring),
            weights=jnp.broadcast_to(scalar(params, dtype=widest(params)), memory),
            position=scalar(params),
            scale=scalar(params, dtype=widest(params)),
        )

    def update(updates: PyTree, state: LBFGSState, params: PyTree) -> tuple[PyTree, LBFGSState]:
        state = _with_pair(state, params, updates)
        return _two_loops(updates, state), state

    return transformation(init, update)


@typed
def lbfgs(
    *, memory: Count = 10, sufficient: Number = 1e-4, curvature: Number = 0.9, max_evaluations: Count = 20
) -> optax.GradientTransformationExtraArgs:
    """L-BFGS with a line search for the strong Wolfe conditions: w ← w − t H g.

    See `scale_by_lbfgs` and `scale_by_strong_wolfe`; `update` takes the keyword `value_fn`, the loss as a function of
    the parameters. The search has evaluated the loss and its gradient at the new parameters already:
    `optax.value_and_grad_from_state` gives them. Finds the minima that `torch.optim.LBFGS(line_search_fn=
    "strong_wolfe")`, `optax.lbfgs` and SciPy's "L-BFGS-B" find, on a path of its own. In float32 it stands still once
    the loss no longer falls by more than its rounding, which is √ε of the way to the minimum.
    """
    search = scale_by_strong_wolfe(sufficient=sufficient, curvature=curvature, max_evaluations=max_evaluations)
    return chain(scale_by_lbfgs(memory=memory), optax.scale(-1.0), search)


def _with_pair(state: LBFGSState, params: PyTree, gradient: PyTree) -> LBFGSState:
    """The state with the pair of the step that has led to `params`, if its curvature is positive."""
    move, turn = (jax.tree.map(jnp.subtract, a, b) for a, b in ((params, state.params), (gradient, state.gradient)))
    product, square = inner(move, turn), inner(turn, turn)
    positive = product > jnp.finfo(product.dtype).eps * tree.global_norm(move) * tree.global_norm(turn)
    keep = state.started & positive

    def put(ring: Array, entry: Array) -> Array:
        return ring.at[state.position].set(jnp.where(keep, entry, ring[state.position]))

    return LBFGSState(
        started=jnp.ones((), bool),
        params=params,
        gradient=gradient,
        moves=jax.tree.map(put, state.moves, move),
        turns=jax.tree.map(put, state.turns, turn),
        weights=put(state.weights, safe_divide(jnp.ones_like(product), product)),
        position=jnp.where(keep, (state.position + 1) % state.weights.shape[0], state.position),
        scale=jnp.where(keep, safe_divide(product, square), state.scale),
    )


def _two_loops(gradient: PyTree, state: LBFGSState) -> PyTree:
    """H g: down from the newest pair to the oldest, scaled, and up again."""
    memory = state.weights.shape[0]
    newest_first = (state.position - 1 - jnp.arange(memory, dtype=jnp.int32)) % memory

    def down(vector: PyTree, place: Array) -> tuple[PyTree, Scalar]:
        part = state.weights[place] * inner(_entry(state.moves, place), vector)
        return _add(vector, -part, _entry(state.turns, place)), part

    def up(vector: PyTree, pair: tuple[Array, Scalar]) -> tuple[PyTree, None]:
        place, part = pair
        other = state.weights[place] * inner(_entry(state.turns, place), vector)
        return _add(vector, part - other, _entry(state.moves, place)), None

    vector, parts = scan(down, gradient, newest_first)
    capped = jnp.minimum(1, 1 / tree.global_norm(gradient)).astype(state.scale.dtype)
    scale = jnp.where(state.scale > 0, state.scale, capped)
    vector = jax.tree.map(lambda v: like(scale, v) * v, vector)
    return scan(up, vector, (newest_first, parts), reverse=True)[0]


def _entry(ring: PyTree, place: Array) -> PyTree:
    return jax.tree.map(lambda r: r[place], ring)


def _add(vector: PyTree, factor: Scalar, other: PyTree) -> PyTree:
    return jax.tree.map(lambda v, o: v + like(factor, v) * o, vector, other)
