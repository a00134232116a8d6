"""Quantization of a whole parameter tree, leaf by leaf, by rules over the paths."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fjdl.quant.affine import Quantized, dequantize
from fjdl.tree import select, size_in_bytes
from fjdl.typing import PyTree, typed

__all__ = ["dequantize_tree", "quantize_tree", "size_in_bytes"]


@typed
def quantize_tree(
    params: PyTree,
    *,
    quantize: Callable[..., Quantized],
    rules: Sequence[tuple[str, bool]] = ((r"(.*/)?kernel", True), (r".*", False)),
) -> PyTree:
    """`params` with `quantize(leaf)` in place of the leaves that the rules choose; the others stay as they are.

    The first of `rules`, pairs of a regular expression and a truth value, that matches a leaf's whole path decides.
    Bind the options first: `functools.partial(absmax_quantize, axis=-1)`. Raises `ValueError` naming the leaves that no
    rule covers.
    """
    return jax.tree.map(lambda chosen, leaf: quantize(leaf) if chosen else leaf, select(params, rules), params)


@typed
def dequantize_tree(tree: PyTree, *, dtype: jax.typing.DTypeLike = jnp.float32) -> PyTree:
    """`tree` with every `Quantized` turned back into an array of `dtype`; other leaves stay as they are."""
    return jax.tree.map(
        lambda leaf: dequantize(leaf, dtype=dtype) if _is_quantized(leaf) else leaf, tree, is_leaf=_is_quantized
    )


def _is_quantized(node: Any) -> bool:
    return isinstance(node, Quantized)
