"""Blocks of an array that share a scale: all of it, channels, or groups of neighbours."""

from collections.abc import Callable

from fjdl.checks import at_least
from fjdl.typing import Array, Shaped, typed

Axis = int | tuple[int, ...] | None


@typed
def block_shape(shape: tuple[int, ...], *, axis: Axis = None, group: int | None = None) -> tuple[int, ...]:
    """The shape of the scales of an array of `shape`: its length where an axis keeps its own, n / group, or 1.

    >>> block_shape((64, 10), axis=-1), block_shape((64, 10), axis=-1, group=32)
    ((1, 10), (2, 10))
    """
    if 0 in shape:
        raise ValueError(f"x must not be empty, got shape {shape}")
    kept = kept_axes(len(shape), axis, shape=shape)
    lengths = [size if i in kept else 1 for i, size in enumerate(shape)]
    if group is not None:
        at_least(1, group=group)
        shared = [i for i in range(len(shape)) if i not in kept]
        if not shared:
            raise ValueError(f"group must have an axis that shares scales, got axis {axis} for shape {shape}")
        if shape[shared[-1]] % group:
            raise ValueError(
                f"group must divide the {shape[shared[-1]]} entries along axis {shared[-1]} of shape {shape}, "
                f"got {group}"
            )
        lengths[shared[-1]] = shape[shared[-1]] // group
    return tuple(lengths)


@typed
def kept_axes(rank: int, axis: Axis, *, shape: tuple[int, ...]) -> set[int]:
    """The axes that are named, counted from the front."""
    kept = () if axis is None else (axis,) if isinstance(axis, int) else axis
    for k in kept:
        if not -rank <= k < rank:
            raise ValueError(f"axis must lie in [{-rank}, {rank}) for shape {shape}, got {k}")
    return {k % rank for k in kept}


@typed
def over_blocks(
    function: Callable[..., Array], x: Shaped[Array, "..."], blocks: tuple[int, ...]
) -> Shaped[Array, "..."]:
    """`function`, such as `jnp.max`, of each block of `x`, in the shape `blocks`."""
    alone = tuple(i for i, b in enumerate(blocks) if b == 1)
    x = function(x, axis=alone, keepdims=True)
    for i, (b, size) in enumerate(zip(blocks, x.shape, strict=True)):
        if b != size:
            x = function(x.reshape(*x.shape[:i], b, -1, *x.shape[i + 1 :]), axis=i + 1)
    return x
