"""The process that compiles: `experiments.tpu` starts it with an environment in which the TPU compiler runs alone."""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.command import Experiment, parse, run_guarded
from experiments.compiled.topology import Slice, find_slice, require_compiler, require_name

Part = Literal["training", "step", "evaluation"]


@dataclasses.dataclass(frozen=True)
class Options:
    """Compile what `experiments.train` would run for a slice of TPUs, and say what it costs; no TPU is needed."""

    config: tyro.conf.Positional[Path]
    """The config file; its own options may follow."""
    topology: str = "v5e:2x2"
    """The slice, such as v5e:2x2, v5e:4x4, v6e:2x4, v4:2x2x1, v5p:2x2x1 or tpu7x:2x2x1."""
    programs: tuple[Part, ...] = ("training", "evaluation")
    """What is compiled: training as it runs (an epoch of data on the devices, or a step), a single step, evaluation."""
    sweep_batch: bool = False
    """Compile the training for batches from a quarter of the config's to eight times it, a row each."""
    against: Literal["flax"] | None = None
    """Compile a plain Flax and optax twin of the step too, without augmentation on both sides, and compare."""
    augmentation: bool = True
    """Whether the recipe's augmentation is compiled too."""
    blank_data: bool = False
    """Take made-up data of the right shapes even where the files are at hand, as is done where they are not."""
    top: int = 0
    """How many of the costliest instructions are listed."""
    hlo: Path | None = None
    """A folder for the texts of the compiled programs."""
    json: Path | None = None
    """A file for all numbers."""


def main() -> None:
    """Compiles and prints."""
    options, experiment = parse(Options, sys.argv[1:])
    require_name(options.topology)
    require_compiler()
    _uncached()
    check(options, experiment)


def check(options: Options, experiment: Experiment) -> None:
    """What the command does once its arguments are read."""
    from experiments.compiled.job import Job
    from fjdl.data.blank import blank_data
    from fjdl.files import write_atomically

    where = find_slice(options.topology)
    with blank_data(always=options.blank_data) as made_up:
        recipe = experiment.recipe if options.augmentation else dataclasses.replace(experiment.recipe, augment=None)
        job = Job(recipe, where, hlo=options.hlo, top=options.top)
        job.prepared()
        print(heading(experiment, where, made_up), flush=True)
        if options.against:
            from experiments.compiled.twins import compare

            found = compare(job, experiment)
        elif options.sweep_batch:
            found = job.sweep()
        else:
            found = [job.part(part) for part in dict.fromkeys(options.programs)]
    if options.json:
        facts = {"setting": setting(experiment, where, made_up), "programs": [as_plain(row) for row in found]}
        write_atomically(options.json, json.dumps(facts, indent=1))


def heading(experiment: Experiment, where: Slice, made_up: Sequence[str]) -> str:
    """What was compiled, for what, by what, when."""
    known = setting(experiment, where, made_up)
    arguments = experiment.config["arguments"]
    data = f"\nthe data {', '.join(made_up)} are made up: only shapes and lengths count here" if made_up else ""
    return (
        f"{known['config']} (batch {experiment.recipe.batch_size}, {arguments.get('precision', '')})\n"
        f"{where.text}, {where.chip.device_hbm / 2**30:g} GiB a device ({where.devices[0].device_kind})\n"
        f"jax {known['jax']}, libtpu {known['libtpu']}, {known['date']}; no TPU was used{data}"
    )


def setting(experiment: Experiment, where: Slice, made_up: Sequence[str]) -> dict[str, Any]:
    """The same as data."""
    import jax

    return {
        "config": experiment.config["config"],
        "arguments": {name: str(value) for name, value in experiment.config["arguments"].items()},
        "topology": where.name,
        "devices": len(where.devices),
        "hosts": where.hosts,
        "chip": where.chip.name,
        "jax": jax.__version__,
        "libtpu": require_compiler(),
        "date": time.strftime("%Y-%m-%d"),
        "made_up": list(made_up),
    }


def as_plain(row: Any) -> Any:
    """Data classes and named tuples as dictionaries, tuples as lists."""
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: as_plain(getattr(row, field.name)) for field in dataclasses.fields(row)}
    if fields := getattr(row, "_fields", None):
        return {name: as_plain(getattr(row, name)) for name in fields}
    if isinstance(row, dict):
        return {name: as_plain(value) for name, value in row.items()}
    return [as_plain(value) for value in row] if isinstance(row, (tuple, list)) else row


def _uncached() -> None:
    """A compilation that is measured comes from no cache."""
    import jax

    jax.config.update("jax_enable_compilation_cache", False)


if __name__ == "__main__":
    run_guarded(main)
