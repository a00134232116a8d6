"""Options by the paths of parameters: optimizers for groups, frozen leaves, multipliers of the learning rate."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import optax

from fjdl import tree
from fjdl.numerics import widened
from fjdl.optim.base import like, stateless, with_extra
from fjdl.optim.guard import unmoved
from fjdl.typing import Array, PyTree, typed

GroupRules = Sequence[tuple[str, optax.GradientTransformation]]

FROZEN = stateless(lambda updates, params: unmoved(updates))


class PartitionState(NamedTuple):
    """The states of the groups."""

    groups: tuple[Any, ...]  # one for each rule, of nested dicts by path; empty for `FROZEN`


@typed
def partition(rules: GroupRules) -> optax.GradientTransformationExtraArgs:
    """Each parameter's update by the transformation of the first of `rules` that matches its whole path.

    Rules are pairs of a regular expression and a transformation, which receives its leaves as nested dicts by path,
    so that a norm or a decay rule within it works on them alone. Leaves under `FROZEN` have no state and do
    not move; `stop_frozen` spares their gradients. Equal to `optax.multi_transform`, without masked nodes in the
    state. Raises `ValueError` for parameters that no rule matches and for paths that are not distinct.
    """
    parts = [optax.with_extra_args_support(part) for _, part in rules]

    def init(params: PyTree) -> PartitionState:
        groups = _split(jax.tree.map(widened, params), rules)
        return PartitionState(tuple(part.init(group) for part, group in zip(parts, groups, strict=True)))

    def update(updates: PyTree, state: PartitionState, params: PyTree, **extra: Any) -> tuple[PyTree, PartitionState]:
        gradients = _split(updates, rules)
        weights = [None] * len(parts) if params is None else _split(params, rules)
        each = zip(parts, gradients, state.groups, weights, strict=True)
        results: list[tuple[Any, Any]] = [part.update(g, s, w, **extra) for part, g, s, w in each]
        moved = {path: leaf for result, _ in results for path, leaf in _named(result)}
        merged = tree.map_named(lambda path, _: moved[path], updates)
        return merged, PartitionState(tuple(group for _, group in results))

    return with_extra(init, update)


@typed
def stop_frozen(params: PyTree, rules: GroupRules) -> PyTree:
    """`params` without gradient where `partition(rules)` freezes them.

    Called first in the loss, it keeps the backward pass from computing what `FROZEN` would throw away: the gradients
    of frozen kernels, and all of the pass below the lowest parameter that learns. Those gradients are 0. Raises
    `ValueError` for parameters that no rule matches.
    """
    frozen = tree.select(params, [(pattern, part is FROZEN) for pattern, part in rules])
    return jax.tree.map(lambda w, stop: jax.lax.stop_gradient(w) if stop else w, params, frozen)


@typed
def scale_by_path(rules: Sequence[tuple[str, float]]) -> optax.GradientTransformationExtraArgs:
    """Updates times the number of the first of `rules` that matches each leaf's whole path.

    Last in a chain it multiplies the learning rate, such as 0.1 for a pretrained encoder; before an Adam it does
    nothing but rescale `eps`. Equal to `optax.multi_transform` of `optax.scale`. Raises `ValueError` for leaves that
    no rule matches.
    """

    def update(updates: PyTree, params: PyTree) -> PyTree:
        del params
        return jax.tree.map(lambda u, factor: like(factor, u) * u, updates, tree.select(updates, rules))

    return stateless(update)


def _split(values: PyTree, rules: GroupRules) -> list[dict[str, Array]]:
    """The leaves of each rule by path."""
    paths = tree.names(values)
    if len(set(paths)) < len(paths):
        raise ValueError(f"the paths of parameters must be distinct, got {paths}")
    owners = jax.tree.leaves(tree.select(values, [(pattern, owner) for owner, (pattern, _) in enumerate(rules)]))
    groups: list[dict[str, Any]] = [{} for _ in rules]
    for path, owner, leaf in zip(paths, owners, jax.tree.leaves(values), strict=True):
        *branches, last = path.split("/")
        reduce(lambda branch, name: branch.setdefault(name, {}), branches, groups[owner])[last] = leaf
    return groups


def _named(group: PyTree) -> list[tuple[str, Array]]:
    return list(zip(tree.names(group), jax.tree.leaves(group), strict=True))
