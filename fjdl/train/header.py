"""What is about to be trained, on what, in a few lines."""

from collections import Counter

import jax
from jax.sharding import Mesh

from fjdl.data.source import PARTS, Source, Splits
from fjdl.train.learned import learned
from fjdl.train.mesh import ways
from fjdl.train.prepare import Prepared
from fjdl.train.recipe import Recipe
from fjdl.train.resident import abstract
from fjdl.tree import count, size_in_bytes
from fjdl.typing import PyTree


def header(prepared: Prepared) -> list[tuple[str, str]]:
    """Pairs of a name and what stands behind it: data, model, training, devices."""
    recipe, splits, mesh, program = prepared
    parts = ", ".join(f"{getattr(splits, part).length:,} {part}" for part in PARTS)
    params = jax.eval_shape(program.init).params
    return [
        ("data", f"{splits.name}: {parts}; {_where(recipe, splits.train, mesh)}"),
        *left_out(splits),
        ("model", f"{count(params):,} parameters, {recipe.precision}"),
        *_begins(recipe, params),
        ("training", f"{recipe.epochs:,} epochs of {program.steps_per_epoch:,} steps, seed {recipe.seed}"),
        ("devices", f"{devices(mesh)}; {_batch(recipe, mesh)}"),
    ]


def _begins(recipe: Recipe, params: PyTree) -> list[tuple[str, str]]:
    """What a new run begins with, and how much of it learns; nothing where all is drawn and learns."""
    origin, rows = recipe.origin, []
    if origin is not None:
        drawn = f"; {', '.join(origin.rules)} drawn" if origin.rules else ""
        rows.append(("begins with", f"{origin.place}{drawn}"))
    if recipe.frozen:
        rows.append(("learns", f"{count(learned(params, recipe.frozen)):,} parameters, the others are frozen"))
    return rows


def left_out(splits: Splits) -> list[tuple[str, str]]:
    """How much of the data set could not be used, and the first of it; nothing where all could."""
    if not splits.left_out:
        return []
    number = len(splits.left_out)
    return [("left out", f"{number:,}, in data/left_out.txt of the run; the first: {splits.left_out[0]}")]


def lines(pairs: list[tuple[str, str]]) -> str:
    """The pairs as aligned lines."""
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:{width}}  {value}" for name, value in pairs)


def devices(mesh: Mesh) -> str:
    """Platform, number and kind of the devices, such as "tpu, 4 x TPU v5 lite"."""
    kinds = Counter((device.platform, device.device_kind) for device in mesh.devices.flat)
    return ", ".join(f"{platform}, {number} x {kind}" for (platform, kind), number in kinds.items())


def _where(recipe: Recipe, source: Source, mesh: Mesh) -> str:
    if source.streamed:
        return "streamed"
    plan = abstract(source, mesh, resident=recipe.resident)
    size = _size(size_in_bytes(plan.rows))
    if ways(mesh) == 1:
        return f"{size} on the device"
    return f"{size} in {ways(mesh)} parts on the devices" if plan.sharded else f"{size} on each device"


def _batch(recipe: Recipe, mesh: Mesh) -> str:
    each = recipe.batch_size // recipe.accumulate // ways(mesh)
    at_a_time = f" in {recipe.accumulate} parts" if recipe.accumulate > 1 else ""
    return f"batches of {recipe.batch_size:,}{at_a_time}, {each:,} a device"


def _size(number: int) -> str:
    scales = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
    return next((f"{number / scale:.3g} {unit}" for unit, scale in scales if number >= scale), f"{number} bytes")
