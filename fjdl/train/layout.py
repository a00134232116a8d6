"""Which part of the parameters, and of what goes with them, each device holds: rules from paths to axes of the mesh."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fjdl import tree as trees
from fjdl.errors import UsageError
from fjdl.model import Model
from fjdl.train.mesh import ALL, batch_axes, check_axes
from fjdl.typing import PyTree

Split = Callable[[tuple[int, ...], Mesh], PartitionSpec]
Rule = tuple[str, PartitionSpec | Split]  # a regex of the whole path, and the axes of the mesh for those of the array
WHOLE: tuple[Rule, ...] = ((".*", PartitionSpec()),)
_GATHERED = "gathered parameters"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The axes of the mesh, and for every parameter the axes that share it.

    `axes` has "data", whose devices take different examples and may share parameters too (Rajbhandari et al. 2020,
    arXiv:1910.02054, stage 3); "replica", whose devices take different examples and hold copies; and "model", whose
    devices see the same examples and compute their parts of a layer (Shoeybi et al. 2019, arXiv:1909.08053). One size
    may be -1, for all devices that the others leave.

    The first rule that matches the whole path of a parameter holds. What belongs to a parameter, such as its moments
    and its average, is laid out as it is. `DATA_PARALLEL` has a copy on each device, `fully_sharded()` a part of all;
    tensor parallel is:

    >>> from jax.sharding import PartitionSpec as P
    >>> layout = Layout(
    ...     axes={"data": -1, "model": 2},
    ...     rules=(("hidden.*/kernel", P(None, "model")), ("hidden.*/bias", P("model")), (".*", split("data"))),
    ... )
    """

    axes: Mapping[str, int] = field(default_factory=lambda: ALL)
    rules: tuple[Rule, ...] = WHOLE

    def __post_init__(self) -> None:
        check_axes(self.axes)

    @property
    def plain(self) -> bool:
        """Whether nothing says that devices share parameters."""
        return self.rules == WHOLE


DATA_PARALLEL = Layout()


def fully_sharded(*, axes: Mapping[str, int] = ALL, smallest: int = 1024) -> Layout:
    """Each device of the axis "data" holds its part of each parameter that has at least `smallest` numbers.

    A layer's parameters are brought together where it computes, and again for its gradient, which is added up in parts.

    >>> dict(fully_sharded().axes)
    {'data': -1}
    """
    return Layout(axes=axes, rules=((".*", split("data", smallest=smallest)),))


def split(axis: str, *, smallest: int = 1024) -> Split:
    """The largest dimension that the devices of that axis of the mesh divide is shared by them; the last of equals.

    Arrays of fewer than `smallest` numbers stay whole, and so do those without such a dimension.
    """

    def placed(shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
        fitting = [place for place, size in enumerate(shape) if size % mesh.shape[axis] == 0]
        if math.prod(shape) < smallest or not fitting:
            return PartitionSpec()
        best = max(fitting, key=lambda place: (shape[place], place))
        return PartitionSpec(*[None] * best, axis)

    return placed


def shardings(layout: Layout, mesh: Mesh, params: PyTree) -> PyTree:
    """Where each parameter lives, from the parameters or their shapes.

    Raises `UsageError` where a rule matches no parameter or no rule matches one, and for axes that a parameter cannot
    be shared by.
    """
    rules = iter(_rules(layout, params))
    return trees.map_named(lambda name, leaf: _sharding(name, leaf.shape, next(rules), mesh), params)


def shardings_beside(layout: Layout, mesh: Mesh, params: PyTree, other: PyTree) -> PyTree:
    """Where each array of a tree lives that has arrays of the parameters' shapes under their paths.

    Arrays of other shapes are split where the rule of their parameter is a `split`, else every device has them.
    """
    shapes = (leaf.shape for leaf in jax.tree.leaves(params))
    owners = dict(zip(trees.names(params), zip(shapes, _rules(layout, params), strict=True), strict=True))

    def place(name: str, leaf: Any) -> NamedSharding:
        parts = name.split("/")
        owner = next((own for own in ("/".join(parts[i:]) for i in range(len(parts))) if own in owners), None)
        if owner is None:
            return NamedSharding(mesh, PartitionSpec())
        shape, rule = owners[owner]
        whole = leaf.shape != shape and isinstance(rule, PartitionSpec)
        return _sharding(name, leaf.shape, PartitionSpec() if whole else rule, mesh)

    return trees.map_named(place, other)


def gathered(model: Model, layout: Layout, mesh: Mesh) -> Model:
    """The model, whose parameters the devices that share a batch bring together for each use.

    In training they are not kept for the gradients, which bring them together again.
    """
    if layout.plain:
        return model

    def apply(params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        placed = shardings(layout, mesh, params)

        def used(params: PyTree, stats: PyTree, inputs: Any, key: Any) -> tuple[Any, PyTree]:
            whole = jax.tree.map(_brought_together, params, placed)
            return model.apply(whole, stats, inputs, train=train, key=key)

        if train:
            policy = jax.checkpoint_policies.save_anything_except_these_names(_GATHERED)
            used = jax.checkpoint(used, policy=policy)
        return used(params, stats, inputs, key)

    return model._replace(apply=apply)


def _sharding(name: str, shape: tuple[int, ...], rule: PartitionSpec | Split, mesh: Mesh) -> NamedSharding:
    spec = rule if isinstance(rule, PartitionSpec) else rule(shape, mesh)
    named = [_names(entry) for entry in spec]
    used = [axis for names in named for axis in names]
    unknown = [axis for axis in used if axis not in mesh.axis_names]
    if unknown or len(set(used)) < len(used):
        raise UsageError(
            f"the rule for {name} must name axes of the mesh {list(mesh.axis_names)}, each once, got {spec}"
        )
    if len(named) > len(shape):
        raise UsageError(f"the rule for {name} must have at most {len(shape)} entries, as its shape has, got {spec}")
    for size, names in zip(shape, named, strict=False):
        devices = math.prod(mesh.shape[axis] for axis in names)
        if size % devices:
            raise UsageError(f"{name} of shape {shape} cannot be shared by the {devices} devices of {spec}")
    return NamedSharding(mesh, spec)


def _brought_together(array: Any, home: NamedSharding) -> Any:
    """The array whole along the axes of the batch; its gradient comes home in parts."""
    alone = [name for name in home.mesh.axis_names if name not in batch_axes(home.mesh)]  # type: ignore[arg-type]
    spec = PartitionSpec(*(tuple(name for name in _names(entry) if name in alone) for entry in home.spec))
    if spec == home.spec:
        return array

    def there(x: Any) -> Any:
        return jax.lax.with_sharding_constraint(x, NamedSharding(home.mesh, spec))

    move = jax.custom_vjp(there)
    move.defvjp(lambda x: (there(x), None), lambda _, slope: (jax.lax.with_sharding_constraint(slope, home),))
    return checkpoint_name(move(array), _GATHERED)


def _names(entry: Any) -> tuple[str, ...]:
    return () if entry is None else (entry,) if isinstance(entry, str) else tuple(entry)


def _rules(layout: Layout, params: PyTree) -> list[Any]:
    """The rule of each parameter."""
    is_rule = lambda rule: callable(rule) or isinstance(rule, PartitionSpec)  # noqa: E731
    try:
        return jax.tree.leaves(trees.select(params, layout.rules), is_leaf=is_rule)
    except ValueError as error:
        raise UsageError(f"the layout does not fit the parameters: {error}") from error
