"""What a job comes to before anything is made: chips, hosts, batches, memory, and all commands in their order."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.launch import machine
from experiments.launch.job import Job
from fjdl.errors import UsageError

GIB = 2**30


def require_arguments(job: Job) -> Any:
    """The experiment of a job; raises `UsageError` where the training would refuse the config or its options."""
    from experiments.command import parse
    from experiments.train import Options

    return parse(Options, [str(job.config), *job.arguments])[1]


def lines(job: Job) -> list[tuple[str, str]]:
    """Pairs of a name and what stands behind it; raises `UsageError` for a batch that the devices cannot share."""
    experiment = require_arguments(job)
    return [*_machines(job), *_training(job, experiment), *_notes(job)]


def devices_of(job: Job) -> int:
    """What JAX counts: one for each chip, two on tpu7x."""
    return job.slice.chips * _chip(job).devices


def mesh_of(axes: Mapping[str, int], devices: int) -> Any:
    """A mesh of devices that are not here; raises `UsageError` for sizes that do not fit their number."""
    from jax.sharding import AbstractMesh, AxisType

    from fjdl.train.mesh import sizes_of

    sizes = sizes_of(axes, devices)
    return AbstractMesh(sizes, tuple(axes), axis_types=(AxisType.Auto,) * len(sizes))


def bytes_a_device(state: Any, layout: Any, mesh: Any) -> int:
    """The bytes of a training state, given as shapes, that each device of the mesh holds."""
    import jax

    from fjdl.train.layout import shardings_beside
    from fjdl.tree import size_in_bytes

    homes = shardings_beside(layout, mesh, state.params, state)
    return size_in_bytes(
        jax.tree.map(lambda x, home: jax.ShapeDtypeStruct(home.shard_shape(x.shape), x.dtype), state, homes)
    )


def _machines(job: Job) -> Iterator[tuple[str, str]]:
    found = job.slice
    hosts = f"{many(found.hosts, 'host')} of {many(found.chips_per_host, 'chip')}"
    yield "machines", f"{found.type} by {job.plane}, {job.capacity}, in {job.zone}"
    yield "slice", f"{many(found.chips, 'chip')} in {found.topology}, {hosts}"


def _training(job: Job, experiment: Any) -> Iterator[tuple[str, str]]:
    import jax

    from experiments.mistakes import users_mistakes
    from fjdl.data.blank import blank_data
    from fjdl.train.layout import DATA_PARALLEL
    from fjdl.train.mesh import ways
    from fjdl.train.prepare import prepare
    from fjdl.tree import count

    recipe, devices = experiment.recipe, devices_of(job)
    mesh = mesh_of(recipe.layout.axes, devices)
    _require_shared(recipe.batch_size, ways(mesh) * recipe.accumulate)
    with blank_data(), users_mistakes():
        made = prepare(dataclasses.replace(recipe, layout=DATA_PARALLEL))  # of the one device that this machine has
        state = jax.eval_shape(made.program.init)
        held = bytes_a_device(state, recipe.layout, mesh)
    yield "config", " ".join([str(job.config), *job.arguments])
    yield "model", f"{count(state.params):,} parameters, {recipe.precision}"
    yield "batch", f"{recipe.batch_size:,} examples of all devices, {recipe.batch_size // ways(mesh):,} a device"
    available = f"{_chip(job).device_hbm / GIB:g} GiB"
    yield "memory", f"training state {held / 1e6:,.1f} MB a device, of {available}; with activations: {_check(job)}"
    yield "starts", " ".join(machine.training(job)[2:3])


def _notes(job: Job) -> Iterator[tuple[str, str]]:
    yield "run", f"{job.run_dir}" + ("" if job.bucket else ", on the machine's own disk, which goes with the machine")
    if job.capacity == "spot" and job.bucket is None:
        yield "warning", "a spot machine takes its run with it when it is taken away: --bucket keeps it"
    if job.slice.hosts > 1 and job.network:
        yield "network", f"{job.network} must let machines talk to one another on TCP ports 8470 to 8490"


def _check(job: Job) -> str:
    found = job.slice
    return f"python -m experiments.tpu check {job.config} --topology {found.family.chip}:{found.topology}"


def _require_shared(batch: int, unit: int) -> None:
    if batch % unit:
        below, above = batch // unit * unit, -(-batch // unit) * unit
        near = f"{below} or {above}" if below else str(above)
        raise UsageError(f"batch_size must be a multiple of {unit}, such as {near}, for that many devices, got {batch}")


def _chip(job: Job) -> Any:
    from fjdl.analysis.chips import CHIPS

    return next(chip for chip in CHIPS if chip.name == job.slice.family.chip)


def many(number: int, word: str) -> str:
    """A number of things.

    >>> many(1, "host"), many(4, "chip")
    ('1 host', '4 chips')
    """
    return f"{number} {word}{'s' * (number != 1)}"
