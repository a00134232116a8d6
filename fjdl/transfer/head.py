"""A trained network for a new task: other outputs, and which parts learn how fast."""

import re
from collections.abc import Sequence

import jax

from fjdl import tree
from fjdl.checks import within
from fjdl.typing import PyTree

Rules = tuple[tuple[str, float], ...]


def replace_head(pretrained: PyTree, fresh: PyTree, *, head: str = "logits/.*") -> PyTree:
    """The pretrained parameters, except those whose path matches `head`: these are the fresh ones, of any shape.

    `fresh` are the parameters of the network with the new number of outputs, as its `init` gives them. Raises
    `ValueError` where `head` matches nothing, and where the rest is not the same network.
    """
    known = dict(zip(tree.names(pretrained), jax.tree.leaves(pretrained), strict=True))
    names = tree.names(fresh)
    if not any(re.fullmatch(head, name) for name in names):
        raise ValueError(f"head must match a parameter, got {head!r}, which matches none of {names}")
    spare = [name for name in known if name not in names and not re.fullmatch(head, name)]
    if spare:
        raise ValueError(f"fresh must have all pretrained parameters but the head, it has no {spare[0]!r}")

    def chosen(name: str, leaf: jax.Array) -> jax.Array:
        if re.fullmatch(head, name):
            return leaf
        if name not in known or known[name].shape != leaf.shape:
            found = known[name].shape if name in known else "nothing"
            raise ValueError(f"the pretrained {name!r} must have shape {leaf.shape}, got {found}")
        return known[name]

    return tree.map_named(chosen, fresh)


def layerwise_rates(parts: Sequence[str], *, decay: float) -> Rules:
    """Rules for `fjdl.optim.scale_by_path`: the last part learns at rate 1, each one before it at `decay` of the next.

    `parts` are regexes of paths from the input to the output. Howard & Ruder 2018, arXiv:1801.06146 (discriminative
    fine-tuning, with decay 1 / 2.6). Raises `ValueError` for no parts and for a decay outside of (0, 1].
    """
    if not parts:
        raise ValueError("parts must not be empty, got none")
    within("(0, 1]", decay=decay)
    return tuple((part, decay ** (len(parts) - 1 - i)) for i, part in enumerate(parts))
