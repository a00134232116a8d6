"""Seconds to a result: `python -m experiments.speedrun configs/cifar10_fast.py --seeds 10`.

The whole training is one compiled program of the seed, so that it is compiled once; each seed is then timed from its
first parameters to its result on the test part, the data being on the device. Nothing is chosen by the test part.
"""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.command import enable_compilation_cache, load_config, run_guarded
from experiments.mistakes import users_mistakes
from experiments.report import headline_text
from fjdl.errors import UsageError

STARTED = time.monotonic()


@dataclasses.dataclass(frozen=True)
class Options:
    """Train a config from several seeds and report its headline, such as accuracy, seconds and arithmetic rate."""

    config: tyro.conf.Positional[Path]
    """The config file."""
    seeds: int = 10
    """Runs, with the seeds 0, 1 and so on."""
    epochs: int | None = None
    """Epochs of each of them, those of the config by default."""
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] | None = None
    """Of activations and products, that of the config by default."""
    peak: float | None = None
    """Floating-point operations per second of the device, to print the share of them that is used."""
    goal: float = 0.94
    """The headline that the mean over seeds is compared with."""


def main() -> None:
    """Prints one line for each seed and one for all of them."""
    options = tyro.cli(Options, args=sys.argv[1:])
    if options.seeds < 1:
        raise UsageError(f"seeds must be at least 1, got {options.seeds}")
    build = load_config(options.config)
    enable_compilation_cache()
    asked = {"epochs": options.epochs, "precision": options.precision}
    chosen = {name: value for name, value in asked.items() if value is not None}
    with users_mistakes():
        recipe = build(**chosen)
        run, compiling = compiled(lambda seed: build(seed=seed, **chosen), recipe)
    from fjdl.train.summary import proportions, summarized

    told = recipe.told
    first = run(0)  # the first call pages in what later ones find in place
    proportion = told.headline in proportions(summarized(told, first))
    operations = training_operations(recipe)
    reached, times = [], []
    for seed in range(options.seeds):
        start = time.monotonic()
        value = float(run(seed)[told.headline])
        times.append(time.monotonic() - start)
        reached.append(value)
        print(f"seed {seed}: test {told.headline} {value:.4f}, {times[-1]:.3f} s", flush=True)
    seconds = statistics.median(times)
    text = headline_text(told.headline, reached, proportion=proportion)
    goal = f"{100 * options.goal:.1f} %" if proportion else f"{options.goal:g}"
    print(f"test {text}, n = {options.seeds}: {goal} {verdict(reached, options.goal, better=told.better)}")
    print(f"median {seconds:.3f} s, {operations / 1e15:.3f} PFLOP, {operations / seconds / 1e12:.1f} TFLOP/s")
    if options.peak is not None:
        print(f"{100 * operations / seconds / options.peak:.1f} % of {options.peak / 1e12:.0f} TFLOP/s")
    print(f"compilation {compiling:.1f} s, whole process {time.monotonic() - STARTED:.1f} s, all seeds included")


def verdict(values: list[float], goal: float, *, better: str) -> str:
    """Whether their mean is as good as the goal."""
    mean = statistics.fmean(values)
    return "reached" if (mean >= goal if better == "max" else mean <= goal) else "missed"


def compiled(build: Callable[[Any], Any], recipe: Any) -> tuple[Callable[[int], Any], float]:
    """From a seed to the results on the test part, and the seconds that its compilation took."""
    import jax
    import jax.numpy as jnp

    from fjdl.train.mesh import make_mesh
    from fjdl.train.resident import place
    from fjdl.train.whole import whole_training

    splits, mesh = recipe.splits(), make_mesh(axes=recipe.layout.axes)
    train, test = (place(part, mesh, resident=recipe.resident) for part in (splits.train, splits.test))

    def whole(seed: Any, train: Any, test: Any) -> Any:
        return whole_training(build(seed), train, end=test, mesh=mesh).end

    start = time.monotonic()
    program = jax.jit(whole).lower(jnp.uint32(0), train, test).compile()
    return lambda seed: program(jnp.uint32(seed), train, test), time.monotonic() - start


def training_operations(recipe: Any) -> float:
    """Two for each MAC of the forward pass, thrice for the backward pass too, over all epochs."""
    from fjdl.analysis import total

    train = recipe.splits().train
    example = recipe.seen(train.element(0))
    return 6.0 * total(recipe.model.layers(example)).macs * train.length * recipe.epochs


if __name__ == "__main__":
    run_guarded(main)
