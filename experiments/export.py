"""A finished run as files that work without fjdl: `python -m experiments.export runs/digits --out digits_model`."""

import dataclasses
import importlib.util
import sys
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tyro

from experiments.command import run_guarded
from experiments.evaluate import LoadedRun, load_run
from fjdl.errors import UsageError

PLATFORMS = ("cpu", "cuda", "tpu")
PROGRAM, WEIGHTS, CARD, PAGE = "model.jax_export", "model.safetensors", "card.json", "README.md"
COMPARED = 32  # examples of the test part on which the program that was written is compared with the run's own


@dataclasses.dataclass(frozen=True)
class Options:
    """Write the best epoch of a finished run as a program, weights and a card, which need no fjdl.

    The program takes arrays as the data set has them and gives the model's outputs, on every platform and for any
    number of examples; JAX reads it. The weights are a safetensors file, the card says what they are and how they are
    used, in card.json and README.md.
    """

    run: tyro.conf.Positional[Path]
    """The run directory."""
    out: Path | None = None
    """The folder for the files, the run's export/ unless given."""
    platforms: tuple[str, ...] = PLATFORMS
    """Where the program can run: cpu, cuda and tpu, or some of them."""
    answers: bool = False
    """Whether it gives what the task makes of the outputs beside them, such as probabilities, classes or boxes."""
    batch_size: int | None = None
    """The number of examples that it takes at once, any number unless given."""
    quantized: bool = False
    """Whether kernels are stored as integers with scales; the card has the test results of that model too."""
    scheme: Literal["absmax", "zero-point", "nf4"] = "absmax"
    """How numbers become integers, as in `experiments.quantize`."""
    bits: int = 8
    """Bits per weight, 2 to 8; nf4 has 4."""
    granularity: Literal["tensor", "channel", "group"] = "channel"
    """What shares a scale: a whole kernel, an output channel, or a group of inputs of one."""
    group: int = 32
    """Inputs in a group; a kernel that they do not divide has one scale for each channel."""
    license: str = "unknown"
    """The licence that the card names, such as apache-2.0."""
    overwrite: bool = False
    """Whether files that are there already are replaced."""


class Form(NamedTuple):
    """The model that is written."""

    recipe: Any
    params: Any
    stats: Any
    quantization: dict[str, Any] | None  # how its kernels were quantized, and its test results


def main() -> None:
    """Writes the files, after the program was read back and compared with the run's own; prints their names."""
    options = tyro.cli(Options, args=sys.argv[1:])
    out = options.out or options.run / "export"
    check(options, out)
    run = load_run(options.run)
    from experiments.exports.card import card_of, page
    from experiments.exports.folder import together
    from experiments.exports.program import portable
    from experiments.exports.weights import write_weights
    from fjdl.files import write_atomically
    from fjdl.train.json_files import encode_json

    form = form_of(run, options)
    program = portable(
        form.recipe,
        form.params,
        form.stats,
        run.splits.test.element(0),
        platforms=options.platforms,
        answers=options.answers,
        batch_size=options.batch_size,
    )
    difference = compared(run, form, program, options)
    with together(out, last=CARD) as folder:
        write_atomically(folder / PROGRAM, program.content)
        told = {"library": "fjdl", "order": "kernels are [..., inputs, outputs], images [n, rows, columns, channels]"}
        write_weights(folder / WEIGHTS, form.params, form.stats, told=told)
        files = (folder / PROGRAM, folder / WEIGHTS)
        card = card_of(run, options, program, form.quantization, form.params, files=files, difference=difference)
        write_atomically(folder / PAGE, page(card))
        write_atomically(folder / CARD, encode_json(card, indent=2))
    for name in (PROGRAM, WEIGHTS, PAGE, CARD):
        print(f"{out / name}  {(out / name).stat().st_size:,} bytes", flush=True)


def check(options: Options, out: Path) -> None:
    """Raises `UsageError` before anything is loaded: options, a run that has not ended, a folder that is in use."""
    from experiments.exports.folder import require_free

    unknown = next((name for name in options.platforms if name not in PLATFORMS), None)
    if unknown is not None or not options.platforms or len(set(options.platforms)) < len(options.platforms):
        got = ", ".join(options.platforms) or "none"
        raise UsageError(f"platforms must be some of {', '.join(PLATFORMS)}, each once, got {got}")
    if not 2 <= options.bits <= 8:
        raise UsageError(f"bits must lie in [2, 8], got {options.bits}")
    for name in ("batch_size", "group"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise UsageError(f"{name} must be at least 1, got {number}")
    if (options.run / "config.json").is_file() and not (options.run / "result.json").exists():
        raise UsageError(f"{options.run} is not finished: it has no result.json; the command in command.txt goes on")
    require_free(out, overwrite=options.overwrite)
    if importlib.util.find_spec("flatbuffers") is None:
        raise UsageError("jax.export writes with flatbuffers, which is not installed: pip install 'fjdl[export]'")


def form_of(run: LoadedRun, options: Options) -> Form:
    """The model of the best epoch, or the quantized one."""
    from experiments.exports.weights import variables_on_one_device
    from experiments.quantizations.kernels import FIXED, shrunk
    from experiments.quantize import expanded, results_on_test
    from fjdl.quant import quantize_tree
    from fjdl.train.summary import summarized

    params, stats = variables_on_one_device(run)
    if not options.quantized:
        return Form(run.recipe, params, stats, None)
    how = {name: getattr(options, name) for name in ("scheme", "bits", "granularity", "group")}
    how["bits"] = FIXED.get(options.scheme, options.bits)
    small = quantize_tree(params, quantize=partial(shrunk, **how))
    recipe = expanded(run.recipe, precision=run.recipe.precision)
    test = summarized(run.recipe.told, results_on_test(run.splits, recipe, small, stats))
    return Form(recipe, small, stats, {**how, "test": test})


def compared(run: LoadedRun, form: Form, program: Any, options: Options) -> dict[str, Any] | None:
    """How far the program is from the run's own on examples of the test part; None where it cannot run here."""
    import jax
    import numpy as np

    from experiments.exports.program import batch_function, largest_difference

    platform = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
    count = options.batch_size or min(COMPARED, run.splits.test.length)
    if platform not in options.platforms:
        return None
    numbers = np.arange(count) % run.splits.test.length
    arrays = {name: jax.numpy.asarray(array) for name, array in run.splits.test.element(numbers).items()}
    own = jax.jit(batch_function(form.recipe, form.params, form.stats, answers=options.answers))
    found = program.call(**{name: arrays[name] for name in program.inputs})
    return {"largest": largest_difference(found, own(arrays)), "examples": count, "platform": platform}


if __name__ == "__main__":
    run_guarded(main)
