"""Quantization of a whole parameter tree, leaf by leaf, by rules over the paths."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fjdl.quant.forms import dequantize, stored
from fjdl.quant.quantized import FLOATS, Quantized
from fjdl.tree import map_named, select, size_in_bytes
from fjdl.typing import Array, PyTree, typed

__all__ = ["dequantize_tree", "is_quantized", "quantize_tree", "size_in_bytes", "store_tree"]

Rule = bool | None | Callable[..., Any]


@typed
def quantize_tree(
    params: PyTree,
    *,
    quantize: Callable[..., Any],
    rules: Sequence[tuple[str, Rule]] = ((r"(.*/)?kernel", True), (r".*", False)),
) -> PyTree:
    """`params` with `quantize(leaf)` in place of the leaves that the rules choose; the others stay as they are.

    The first of `rules`, pairs of a regular expression and what to do, that matches a leaf's whole path decides: True
    is `quantize`, False or None leave it as it is, and another function, such as one of more bits for the first and the
    last layer, takes the place of `quantize`. Bind the options first: `functools.partial(absmax_quantize, axis=-1)`.
    Raises `ValueError` naming the leaves that no rule covers and the rules that match none, see `fjdl.tree.select`, and
    naming the leaf that cannot be quantized.

    >>> params = {"first": {"kernel": jnp.ones((4, 2))}, "last": {"kernel": jnp.ones((2, 2))}}
    >>> from fjdl.quant import absmax_quantize
    >>> small = quantize_tree(params, quantize=absmax_quantize, rules=[("last/.*", False), (".*", True)])
    >>> small["first"]["kernel"].bits, small["last"]["kernel"].dtype
    (8, dtype('float32'))
    """
    return map_named(
        lambda name, leaf, rule: _applied(name, leaf, quantize if rule is True else rule),
        params,
        select(params, rules),
    )


@typed
def dequantize_tree(tree: PyTree, *, dtype: jax.typing.DTypeLike = jnp.float32) -> PyTree:
    """`tree` with every `Quantized` turned back into an array of `dtype`; other leaves stay as they are."""
    return _map_quantized(lambda leaf: dequantize(leaf, dtype=dtype), tree)


@typed
def store_tree(tree: PyTree, *, form: str) -> PyTree:
    """`tree` with every `Quantized` of integers in another form, see `stored`; other leaves stay as they are."""
    return _map_quantized(lambda leaf: leaf if leaf.values.dtype in FLOATS else stored(leaf, form=form), tree)


def is_quantized(node: Any) -> bool:
    """Whether it is a `Quantized`: for `is_leaf` of `jax.tree`."""
    return isinstance(node, Quantized)


def _map_quantized(function: Callable[[Quantized], Any], tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: function(leaf) if is_quantized(leaf) else leaf, tree, is_leaf=is_quantized)


def _applied(name: str, leaf: Array, rule: Rule) -> Any:
    if rule is None or rule is False:
        return leaf
    try:
        return rule(leaf)  # type: ignore[operator]
    except ValueError as error:
        raise ValueError(f"{name} cannot be quantized: {error}") from None
