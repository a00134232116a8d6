"""Which parameters learn: those that are frozen have neither gradients nor updates nor a state of the optimizer."""

import re
from collections.abc import Sequence
from typing import Any

import jax

from fjdl import tree
from fjdl.errors import UsageError
from fjdl.typing import PyTree


def learned(params: PyTree, frozen: Sequence[str]) -> PyTree:
    """The parameters that learn; in the places of the others is None, which is no leaf.

    A parameter is frozen where one of the regexes matches its whole path. Raises `UsageError` for a regex that matches
    none, and where nothing is left to learn.

    >>> learned({"stem": {"kernel": 1.0}, "logits": {"kernel": 2.0}}, ["stem/.*"])
    {'logits': {'kernel': 2.0}, 'stem': {'kernel': None}}
    """
    if not frozen:
        return params
    paths = tree.names(params)
    idle = [rule for rule in frozen if not any(re.fullmatch(rule, path) for path in paths)]
    if idle:
        raise UsageError(f"every rule of freeze must match a parameter, but {idle} match none of {paths}")
    part = tree.map_named(lambda path, leaf: None if _matches(frozen, path) else leaf, params)
    if not jax.tree.leaves(part):
        raise UsageError(f"freeze must leave a parameter that learns, but {list(frozen)} match all of {paths}")
    return part


def joined(params: PyTree, part: PyTree) -> PyTree:
    """All parameters: those of the part, and the others as they are.

    >>> joined({"stem": 1.0, "logits": 2.0}, {"stem": None, "logits": 3.0})
    {'logits': 3.0, 'stem': 1.0}
    """
    return jax.tree.map(lambda mine, old: old if mine is None else mine, part, params, is_leaf=_is_none)


def _matches(rules: Sequence[str], path: str) -> bool:
    return any(re.fullmatch(rule, path) for rule in rules)


def _is_none(value: Any) -> bool:
    return value is None
