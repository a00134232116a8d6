"""Muon: momentum whose matrices are replaced by the nearest orthogonal ones."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl import tree
from fjdl.checks import within
from fjdl.explicit import explicit_mesh, with_automatic_axes
from fjdl.meshes import fori_loop, varying_axes
from fjdl.numerics import full_product, norm, widened
from fjdl.optim.adam import scale_by_adam
from fjdl.optim.base import (
    Count,
    LearningRate,
    Number,
    averaged,
    chain,
    like,
    require_static,
    scale_by_learning_rate,
    stateless,
    stored,
    transformation,
    zeros,
)
from fjdl.optim.decay import EVERYWHERE, DecayRules, add_decayed_weights
from fjdl.platforms import by_platform
from fjdl.typing import Array, Inexact, PyTree, Scalar, typed

MatrixRules = Sequence[tuple[str, bool]]

MATRICES: MatrixRules = ((r".*", True),)

_QUINTIC = (3.4445, -4.7750, 2.0315)


class MuonState(NamedTuple):
    """What Muon remembers."""

    mean: PyTree  # the parameters' shapes, float32 (float64 for float64 parameters) or `mean_dtype`


@typed
def newton_schulz(
    matrix: Inexact[Array, "*batch m n"],
    *,
    steps: Count = 5,
    eps: Number = 1e-7,
    product_dtype: DTypeLike | None = None,
) -> Inexact[Array, "*batch m n"]:
    """About U Vᵀ, the orthogonal factor of the matrix U S Vᵀ: X ← a X + b X Xᵀ X + c (X Xᵀ)² X from X = M / ‖M‖.

    ‖M‖ is the Frobenius norm, at least `eps`, so a zero matrix stays zero. The coefficients 3.4445, −4.7750 and 2.0315
    of Jordan et al. 2024 (kellerjordan.github.io/posts/muon) lift small singular values fast and never settle: after 5
    steps those above ‖M‖ / 600 lie in [0.68, 1.21], and the smallest have grown 485 times. Leading dimensions
    are a batch, and the products are made on the matrix' smaller side. They are float32 (float64 for float64), or as
    coarse as `product_dtype` says, such as bfloat16 on an accelerator; the result has the matrix' dtype. Equal to the
    iteration of `torch.optim.Muon`, which runs in bfloat16. Raises `ValueError` where `steps` or `eps` is not positive.
    """
    require_static(steps=steps)
    within("(0, inf]", steps=steps)
    within("(0, inf]", eps=eps)
    iterated = partial(_iterated, steps=steps, eps=eps, product_dtype=product_dtype)

    def turned(matrix: Array) -> Array:
        x = iterated(_lying(matrix))
        return x if x.shape == matrix.shape else x.mT

    return by_platform(jnp.asarray(matrix), cpu=turned, elsewhere=iterated)


@typed
def scale_by_muon(
    *,
    momentum: Number = 0.95,
    nesterov: bool = True,
    steps: Count = 5,
    update_rms: Number | None = 0.2,
    eps: Number = 1e-7,
    mean_dtype: DTypeLike | None = None,
    product_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """The momentum of each matrix, orthogonalized by `newton_schulz` and scaled by its shape.

    m ← momentum m + (1 − momentum) g, and m, or for Nesterov momentum m + (1 − momentum) g, is orthogonalized: Jordan
    et al. 2024 (kellerjordan.github.io/posts/muon). Every leaf is a matrix from all dimensions but the last, the
    inputs, to the last, the outputs, as kernels HWIO are; those of one shape, or its transpose, are stacked and
    orthogonalized in one go. The scale is update_rms · √max(inputs, outputs), with which the entries have about that
    root mean square: 0.2 is that of Adam, whose learning rates then fit (Liu et al. 2025, arXiv:2502.16982). For None
    it is √max(1, outputs / inputs), the original. `mean_dtype=jnp.bfloat16` keeps m in half the memory.

    `torch.optim.Muon` is equal with `adjust_lr_fn="match_rms_adamw"` (0.2) or `"original"` (None), but takes matrices
    of outputs by inputs only and rounds them to bfloat16. `optax.contrib.scale_by_muon` is equal without Nesterov, up
    to its eps; with it, optax corrects m and g for their bias first. Raises `ValueError` for a leaf with fewer than two
    dimensions, for `momentum` outside [0, 1), and where `steps`, `update_rms` or `eps` is not positive.
    """
    within("[0, 1)", momentum=momentum)
    require_static(steps=steps)
    within("(0, inf]", steps=steps)
    within("(0, inf]", eps=eps)
    if update_rms is not None:
        within("(0, inf]", update_rms=update_rms)

    def update(updates: PyTree, state: MuonState, params: PyTree) -> tuple[PyTree, MuonState]:
        del params
        mean = averaged(state.mean, updates, momentum)
        ahead = averaged(mean, updates, momentum) if nesterov else mean
        direction = _orthogonalized(ahead, steps=steps, eps=eps, product_dtype=product_dtype)
        scaled = jax.tree.map(lambda x: _scale(x, update_rms) * x, direction)
        return scaled, MuonState(stored(mean, dtype=mean_dtype))

    return transformation(lambda params: MuonState(zeros(params, dtype=mean_dtype)), update)


@typed
def muon(
    learning_rate: LearningRate,
    *,
    momentum: Number = 0.95,
    nesterov: bool = True,
    steps: Count = 5,
    update_rms: Number | None = 0.2,
    matrix_rules: MatrixRules = MATRICES,
    adam_multiplier: Number = 1.0,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
    decay_rules: DecayRules = EVERYWHERE,
    mean_dtype: DTypeLike | None = None,
    product_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Muon for matrices and AdamW for the rest: w ← w − learning_rate · (direction + weight_decay · w).

    The direction is that of `scale_by_muon` for leaves with two or more dimensions whose path `matrix_rules` call True;
    rules such as `((r".*(embedding|head).*", False), (r".*", True))` leave embeddings and the last layer to AdamW. All
    else moves by `adamw(adam_multiplier · learning_rate, b1=…, b2=…, eps=…)`. One learning rate fits both while
    `update_rms` is 0.2; for None Jordan et al. 2024 take 0.02 and a multiplier of about 0.015. Equal to
    `torch.optim.Muon` and `torch.optim.AdamW` each on its own parameters, where Muon is as in `scale_by_muon`, and
    without Nesterov to `optax.contrib.muon(consistent_rms=update_rms)`. With it, optax makes AdamW a Nadam too. Raises
    `ValueError` as its parts do, and where `adam_multiplier` is not positive or no rule matches a leaf.
    """
    within("(0, inf]", adam_multiplier=adam_multiplier)
    decay = add_decayed_weights(weight_decay, rules=decay_rules)
    matrices = scale_by_muon(
        momentum=momentum,
        nesterov=nesterov,
        steps=steps,
        update_rms=update_rms,
        mean_dtype=mean_dtype,
        product_dtype=product_dtype,
    )
    rest = scale_by_adam(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype)
    split = optax.partition({"matrices": matrices, "rest": rest}, lambda params: _labels(params, matrix_rules))
    rates = _rest_times(adam_multiplier, matrix_rules)
    return chain(split, decay, rates, scale_by_learning_rate(learning_rate))


def _lying(matrix: Inexact[Array, "*batch m n"]) -> Inexact[Array, "*batch k l"]:
    """The matrix or its transpose, whichever has no more rows than columns."""
    return matrix.mT if matrix.shape[-2] > matrix.shape[-1] else matrix


def _iterated(
    matrix: Inexact[Array, "*batch m n"], *, steps: Count, eps: Number, product_dtype: DTypeLike | None
) -> Inexact[Array, "*batch m n"]:
    x = widened(matrix)
    length = norm(x.reshape((*x.shape[:-2], math.prod(x.shape[-2:]))))[..., None]
    x = (x / jnp.maximum(length, like(eps, length))).astype(product_dtype or x.dtype)
    return fori_loop(0, steps, _nearer_to_orthogonal, x).astype(matrix.dtype)


def _standing(matrix: Inexact[Array, "*batch m n"]) -> Inexact[Array, "*batch k l"]:
    """The matrix or its transpose, whichever has no fewer rows than columns, as kernels of convolutions have."""
    return matrix.mT if matrix.shape[-2] < matrix.shape[-1] else matrix


def _nearer_to_orthogonal(_: Array, x: Inexact[Array, "*batch m n"]) -> Inexact[Array, "*batch m n"]:
    a, b, c = _QUINTIC
    lying = x.shape[-2] <= x.shape[-1]
    gram = full_product(x, x.mT.conj()) if lying else full_product(x.mT.conj(), x)
    change = b * gram + c * full_product(gram, gram)
    return a * x + (full_product(change, x) if lying else full_product(x, change))


def _orthogonalized(leaves: PyTree, **options: Any) -> PyTree:
    """Each leaf's matrix orthogonalized; XLA chooses how, where the axes of the leaves' mesh are explicit."""
    mesh = explicit_mesh(jax.tree.leaves(leaves))
    if mesh is None:
        return _by_shape(leaves, **options)
    loose = with_automatic_axes(_by_shape, mesh, leaves, **options)
    return jax.tree.map(lambda x, leaf: jax.sharding.reshard(x, jax.typeof(leaf).sharding), loose, leaves)


def _by_shape(leaves: PyTree, **options: Any) -> PyTree:
    """Each leaf's matrix orthogonalized; an accelerator does not turn kernels, which would be copies."""
    lying, standing = (partial(_stacked, turn=turn, **options) for turn in (_lying, _standing))
    return jax.lax.platform_dependent(leaves, cpu=lying, default=standing)  # each varies over its own axes of a mesh


def _stacked(leaves: PyTree, *, turn: Callable[[Array], Array], **options: Any) -> PyTree:
    flat, structure = jax.tree.flatten(leaves)
    matrices = [turn(_matrix(leaf)) for leaf in flat]
    kinds = [(matrix.shape, matrix.dtype, varying_axes(matrix)) for matrix in matrices]
    for kind in dict.fromkeys(kinds):
        places = [place for place, one in enumerate(kinds) if one == kind]
        stacked = jnp.stack([matrices[place] for place in places])
        for place, result in zip(places, _iterated(stacked, **options), strict=True):
            matrices[place] = result
    return jax.tree.unflatten(structure, [_like_leaf(m, leaf) for m, leaf in zip(matrices, flat, strict=True)])


def _matrix(leaf: Array) -> Inexact[Array, "inputs outputs"]:
    if leaf.ndim < 2:
        raise ValueError(f"Muon moves leaves with two or more dimensions, got shape {leaf.shape}")
    return leaf.reshape((math.prod(leaf.shape[:-1]), leaf.shape[-1]))


def _like_leaf(matrix: Inexact[Array, "k l"], leaf: Array) -> Array:
    inputs, outputs = _matrix(leaf).shape
    return (matrix if matrix.shape == (inputs, outputs) else matrix.mT).reshape(leaf.shape)


def _scale(x: Array, update_rms: Number | None) -> Scalar:
    inputs, outputs = math.prod(x.shape[:-1]), x.shape[-1]
    if update_rms is None:
        return like(math.sqrt(max(1, outputs / max(inputs, 1))), x)
    return like(update_rms, x) * like(math.sqrt(max(inputs, outputs)), x)


def _rest_times(factor: Number, rules: MatrixRules) -> optax.GradientTransformationExtraArgs:
    def scaled(u: Array, label: str) -> Array:
        return like(factor, u) * u if label == "rest" else u

    return stateless(lambda updates, params: jax.tree.map(scaled, updates, _labels(updates, rules)))


def _labels(params: PyTree, rules: MatrixRules) -> PyTree:
    chosen = tree.select(params, rules)
    return jax.tree.map(lambda p, yes: "matrices" if yes and jnp.ndim(p) >= 2 else "rest", params, chosen)
