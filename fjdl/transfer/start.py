"""A model that begins with trained weights."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from fjdl import tree
from fjdl.transfer.head import replace_head
from fjdl.typing import PRNGKey, PyTree

if TYPE_CHECKING:
    from fjdl.model import Model

Load = Callable[[PyTree, PyTree], tuple[PyTree, PyTree]]


def pretrained(model: "Model", load: Load, *, original: "Model | None" = None, head: str | None = None) -> "Model":
    """The model whose `init` gives trained parameters and statistics in the place of drawn ones.

    `load(params, stats)` finds them for abstract ones, as `jax.eval_shape` gives them, such as
    `lambda params, stats: from_torch(load_torch_pickle(path), params, stats, layout)`. It is called whenever a program
    that initializes is traced, and never before. `head` is a regex of the whole paths of parameters that are drawn
    afresh, as for `replace_head`; where these have other shapes than the trained ones, `original` is the network as it
    was trained, for whose parameters `load` is then called. Everything else of the model stays, so a run that is taken
    up goes on from its checkpoint. Raises `ValueError` naming the first array that is not that of the model.
    """

    def init(key: PRNGKey, inputs: Any) -> tuple[PyTree, PyTree]:
        fresh, statistics = model.init(key, inputs)
        params, stats = load(*jax.eval_shape((original or model).init, key, inputs))
        if head is not None:
            params = replace_head(params, fresh, head=head)
        return _as(params, fresh), _as(stats, statistics)

    return model._replace(init=init)


def _as(found: PyTree, wanted: PyTree) -> PyTree:
    """The arrays found, by path, in the structure and the dtypes of those wanted."""
    known = dict(zip(tree.names(found), jax.tree.leaves(found), strict=True))
    if spare := [name for name in known if name not in tree.names(wanted)]:
        raise ValueError(f"the trained arrays must be those of the model, got {spare[0]!r} besides")

    def chosen(name: str, leaf: jax.Array) -> jax.Array:
        if name not in known or known[name].shape != leaf.shape:
            got = known[name].shape if name in known else "nothing"
            raise ValueError(f"the trained {name!r} must have shape {leaf.shape}, got {got}")
        return jnp.asarray(known[name], leaf.dtype)

    return tree.map_named(chosen, wanted)
