"""Functions of arrays that are sharded over explicit axes of a mesh, which are part of an array's type.

There JAX refuses what it would have to guess: to sort, scatter or reshape along a sharded axis, to compare all pairs,
to sum over it. Our functions leave that to XLA, and the names in their signatures say how results are sharded: as the
axes of the same name that went in. Other axes of a result are whole on every device. Trees are left to the functions of
arrays that they are taken apart for.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args, get_origin

import jax
from jax.core import Tracer
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

AnyMesh = Mesh | AbstractMesh
Entries = tuple[Any, ...]  # for each axis of an array the mesh axes over which it is sharded, or None
Names = dict[str, Entries]  # a name in a signature, which stands for one axis or, with a star, for several


def explicit_mesh(values: Iterable[Any]) -> AnyMesh | None:
    """The mesh over whose explicit axes an array among the values, or in a tuple or dictionary there, is sharded."""
    for value in values:
        if isinstance(value, jax.Array):
            if (sharding := _sharding(value)) is not None and any(_entries(value)):
                return sharding.mesh
        elif isinstance(value, tuple | dict):
            within = explicit_mesh(value.values() if isinstance(value, dict) else value)
            if within is not None:
                return within
    return None


def with_automatic_axes(function: Callable[..., Any], mesh: AnyMesh, *args: Any, **kwargs: Any) -> Any:
    """The function's result where XLA chooses how everything is sharded."""

    def inside(leaf: Any) -> Any:
        moved = isinstance(leaf, jax.Array) and (_sharding(leaf) is not None or _without_mesh(leaf))
        return jax.sharding.reshard(leaf, PartitionSpec()) if moved else leaf

    abstract = mesh.abstract_mesh if isinstance(mesh, Mesh) else mesh
    loose = abstract.update_axis_types(dict.fromkeys(abstract.explicit_axes, AxisType.Auto))
    with jax.sharding.use_abstract_mesh(loose):
        args, kwargs = jax.tree.map(inside, (args, kwargs))
        return function(*args, **kwargs)


def with_named_axes(
    function: Callable[..., Any], signature: inspect.Signature, mesh: AnyMesh, *args: Any, **kwargs: Any
) -> Any:
    """The function's result, sharded by the names in its signature, where XLA chooses all else.

    A result without names is sharded as the first sharded matrix of its shape, or whole; a dictionary is a batch, see
    `with_batch_axis`. A function of trees and scalars alone is called as it is.
    """
    hinted = list(_named_arrays(signature, args, kwargs))
    if not hinted:
        return function(*args, **kwargs)
    if get_origin(signature.return_annotation) is dict:
        return with_batch_axis(function, *args, **kwargs)
    arrays = [leaf for leaf in jax.tree.leaves((args, kwargs)) if isinstance(leaf, jax.Array)]
    names: Names = {}
    for tokens, array in hinted:
        for token, entries in _parts(tokens, _entries(array)):
            if any(entries):
                names.setdefault(token, entries)

    def outside(hint: Any, leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        tokens = axis_names(hint)
        named = None if tokens is None else _of_names(tokens, names, leaf.ndim)
        return _placed(leaf, mesh, _of_shape(leaf.shape, arrays) if named is None else named)

    result = with_automatic_axes(function, mesh, *args, **kwargs)
    return _map_hinted(outside, signature.return_annotation, result)


def with_batch_axis(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The function's result where XLA chooses how it is computed, sharded along its first axis as the arguments are."""
    arrays = [leaf for leaf in jax.tree.leaves((args, kwargs)) if isinstance(leaf, jax.Array)]
    first = next((array for array in arrays if any(_entries(array)[:1])), None)
    if first is None or (sharding := _sharding(first)) is None:
        return function(*args, **kwargs)
    length, entry = first.shape[0], _entries(first)[0]

    def outside(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return leaf
        return _placed(leaf, sharding.mesh, tuple(entry if size == length else None for size in leaf.shape[:1]))

    return jax.tree.map(outside, with_automatic_axes(function, sharding.mesh, *args, **kwargs))


def _placed(array: jax.Array, mesh: AnyMesh, entries: Entries) -> jax.Array:
    return jax.sharding.reshard(array, NamedSharding(mesh, PartitionSpec(*_once(entries))))


def axis_names(hint: Any) -> list[str] | None:
    """Names of an array's axes in a type such as `Float[Array, "*batch d"]`, or in a union of such types."""
    dimensions = (getattr(part, "dim_str", None) for part in (hint, *get_args(hint)))
    return next((text.replace("#", "").split() for text in dimensions if text is not None), None)


def _sharding(array: jax.Array) -> NamedSharding | None:
    """How the array lies on a mesh with explicit axes."""
    sharding = jax.typeof(array).sharding if isinstance(array, Tracer) else array.sharding
    return sharding if isinstance(sharding, NamedSharding) and sharding.mesh.explicit_axes else None


def _without_mesh(array: jax.Array) -> bool:
    """Whether the array lies on no mesh: then its gradient must not lie on that of the function either."""
    return isinstance(array, Tracer) and jax.typeof(array).sharding.mesh.empty


def _entries(array: jax.Array) -> Entries:
    """The explicit mesh axes of each axis of the array."""
    sharding = _sharding(array)
    if sharding is None:
        return (None,) * array.ndim
    explicit = set(sharding.mesh.explicit_axes)
    spec = (*sharding.spec, *[None] * (array.ndim - len(sharding.spec)))
    return tuple(entry if explicit.intersection(_axes(entry)) else None for entry in spec)


def _axes(entry: Any) -> tuple[str, ...]:
    return () if entry is None else entry if isinstance(entry, tuple) else (entry,)


def _named_arrays(signature: inspect.Signature, args: Any, kwargs: Any) -> Iterator[tuple[list[str], jax.Array]]:
    """The arrays whose type names their axes, with these names; none of a call that does not fit the signature."""
    try:
        arguments = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return
    for parameter, value in arguments.items():
        tokens = axis_names(signature.parameters[parameter].annotation)
        for array in value if isinstance(value, tuple) else (value,):
            if tokens and isinstance(array, jax.Array):
                yield tokens, array


def _parts(tokens: list[str], entries: Entries) -> Iterator[tuple[str, Entries]]:
    """The axes for which each name stands; one of the names may stand for any number."""
    surplus = len(entries) - len(tokens)
    start = 0
    for token in tokens:
        stop = start + 1 + (surplus if token.startswith("*") or token == "..." else 0)
        yield token, entries[start:stop]
        start = stop


def _of_names(tokens: list[str], names: Names, ndim: int) -> Entries:
    """The entries of a result with these names."""
    nothing = (None,) * ndim
    found = tuple(entry for token, part in _parts(tokens, nothing) for entry in names.get(token, part))
    return found if len(found) == ndim else nothing


def _of_shape(shape: tuple[int, ...], arrays: Iterable[jax.Array]) -> Entries:
    """Those of the first sharded array of this shape, if it has two axes; lengths agree by chance too often."""
    alike = (_entries(array) for array in arrays if array.shape == shape and len(shape) > 1)
    return next(filter(any, alike), (None,) * len(shape))


def _once(entries: Entries) -> Entries:
    """A mesh axis shards one axis of an array: the first."""
    return tuple(entry if not _used(entry, entries[:place]) else None for place, entry in enumerate(entries))


def _used(entry: Any, before: Entries) -> bool:
    return bool({axis for other in before for axis in _axes(other)}.intersection(_axes(entry)))


def _map_hinted(function: Callable[[Any, Any], Any], hint: Any, result: Any) -> Any:
    """`function` of each leaf with its own type where that of a tuple or of its fields is known."""
    if isinstance(result, tuple):
        fields = getattr(type(result), "__annotations__", None)
        hints = [*fields.values()] if fields else [part for part in get_args(hint) if part is not ...]
        if len(hints) == len(result):
            mapped = [_map_hinted(function, part, value) for part, value in zip(hints, result, strict=True)]
            return type(result)(*mapped) if fields else tuple(mapped)
    return jax.tree.map(lambda leaf: function(hint, leaf), result)
