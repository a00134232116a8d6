"""Quantize a run's best epoch and compare: `python -m experiments.quantize runs/digits --bits 8 4`."""

import dataclasses
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.evaluate import LoadedRun, load_run
from experiments.quantizations.figure import quantization_figure
from experiments.quantizations.integers import Activations, Form, Ranges, Rounding, batch_of, integer_forms
from experiments.quantizations.kernels import Granularity, Scheme, quantizers
from experiments.quantizations.mixed import mixed_bits, sensitivity_figure
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Post-training quantization: one row for each form of the kernels, and for each network of integers."""

    run: tyro.conf.Positional[Path]
    """The run directory; quantized.json is written there."""
    scheme: tuple[Scheme, ...] = ("absmax", "zero-point")
    """How numbers become integers: by the largest absolute value, by the range, or as short floats."""
    bits: tuple[int, ...] = (8,)
    """Bits per weight, 2 to 8; nf4 has 4 and float8 has 8."""
    granularity: tuple[Granularity, ...] = ("channel",)
    """What shares a scale: a whole kernel, an output channel, or a group of inputs of one."""
    group: int = 32
    """Inputs in a group; a kernel that they do not divide has one scale for each channel."""
    all: bool = False
    """Every scheme, granularity and 8, 4, 3 and 2 bits."""
    activations: tuple[Activations, ...] = ("none",)
    """Networks of integers too: their kernels alone (weights), or inputs with ranges found before (static) or in each
    call (dynamic)."""
    rounding: tuple[Rounding, ...] = ("nearest",)
    """How their kernels are rounded: to the nearest integer, or by second order on training examples (GPTQ)."""
    input_bits: int = 8
    """Bits of these inputs, 2 to 8."""
    outputs: tuple[str, ...] = ()
    """Regexes of modules whose outputs go on in 8 bits, in static networks, such as stem and stage.*/block[0-9]+."""
    edges: int | None = None
    """Bits of the kernels of the first and the last layer of such a network, where they are to have others."""
    budget: float | None = None
    """Share of the kernels' bytes in float32: such networks once more, each layer in 8, 4, 3 or 2 bits of its own."""
    learn: tuple[int, ...] = ()
    """Bits of such networks that train on while their kernels and inputs are rounded; their inputs are static."""
    epochs: int = 1
    """Passes over the training examples in which they learn that."""
    learning_rate: float = 1e-4
    """Their highest learning rate, of Adam."""
    calibrate: int = 1024
    """Training examples that ranges, and roundings of second order, are found with."""
    ranges: Ranges = "moving-average"
    """What finds them."""
    batch_size: int = 128
    """Examples per batch when timing."""
    repeats: int = 50
    """Timed batches; the median counts."""


def main() -> None:
    """Prints one table: the headline on the test part, bytes of the parameters, milliseconds per batch."""
    options = tyro.cli(Options, args=sys.argv[1:])
    check(options)
    run = load_run(options.run)
    mixed = None if options.budget is None else mixed_bits(run, options)
    rows = compare(run, options, None if mixed is None else mixed.bits)
    from fjdl.train.documents import write_sealed
    from fjdl.tree import digest

    sealed = {"step": int(run.state.step), "state": digest(run.state), "rows": rows}
    write_sealed(options.run / "quantized.json", sealed)
    print(format_rows(rows, options))
    from fjdl.plots import save

    figure = quantization_figure(
        rows, headline=run.recipe.told.headline, title=f"{options.run.resolve().name}, quantized"
    )
    path = options.run / "plots" / "quantized.png"
    save(figure, path)
    print(f"figure: {path}")
    if mixed is not None:
        path = options.run / "plots" / "sensitivity.png"
        save(sensitivity_figure(mixed, title=f"{options.run.resolve().name}, layer by layer"), path)
        print(f"figure: {path}")


def check(options: Options) -> None:
    """Raises `UsageError` for numbers that make no sense."""
    named = [("bits", bits) for bits in options.bits] + [("learn", bits) for bits in options.learn]
    named += [("input_bits", options.input_bits), ("edges", options.edges)]
    for name, bits in named:
        if bits is not None and not 2 <= bits <= 8:
            raise UsageError(f"{name} must lie in [2, 8], got {bits}")
    for name in ("scheme", "bits", "granularity", "activations", "rounding"):
        if not getattr(options, name):
            raise UsageError(f"{name} must name one at least, got none")
    if options.budget is not None and not 0 < options.budget <= 1:
        raise UsageError(f"budget must lie in (0, 1], got {options.budget}")
    if not 0 < options.learning_rate < math.inf:
        raise UsageError(f"learning_rate must lie in (0, inf), got {options.learning_rate}")
    for name in ("group", "batch_size", "repeats", "calibrate", "epochs"):
        if getattr(options, name) < 1:
            raise UsageError(f"{name} must be at least 1, got {getattr(options, name)}")


def compare(run: LoadedRun, options: Options, mixed: Mapping[str, int] | None = None) -> list[dict[str, Any]]:
    """One row for each form, all on the test part."""
    forms = kernel_forms(run, options) | integer_forms(run, options, mixed)
    return [{"parameters": label, **measure(run, form, options)} for label, form in forms.items()]


def kernel_forms(run: LoadedRun, options: Options) -> dict[str, Form]:
    """The network as it is with parameters in float32, in bfloat16 and with small kernels, expanded in the program."""
    import jax.numpy as jnp

    from fjdl.quant import quantize_tree
    from fjdl.train.state import evaluated_params
    from fjdl.tree import cast

    params, stats = evaluated_params(run.state), run.state.stats
    recipe = expanded(run.recipe, precision="float32")
    small = {name: quantize_tree(params, quantize=quantize) for name, quantize in quantizers(options).items()}
    return {
        "float32": Form(recipe, params, stats),
        "bfloat16": Form(expanded(run.recipe, precision="bfloat16"), cast(params, jnp.bfloat16), stats),
        **{name: Form(recipe, tree, stats) for name, tree in small.items()},
    }


def measure(run: LoadedRun, form: Form, options: Options) -> dict[str, Any]:
    """Headline, loss, bytes and time of one form."""
    headline, results = run.recipe.told.headline, results_on_test(run.splits, *form)
    predict = batch_prediction(form.recipe, form.stats, run.splits.test, size=options.batch_size)
    return {
        headline: float(results[headline]),
        "loss": float(results["loss"]),
        "bytes": bytes_on_disk(form.params),
        "milliseconds": median_milliseconds(lambda: predict(form.params), repeats=options.repeats),
    }


def expanded(recipe: Any, *, precision: str) -> Any:
    """The recipe at a precision, whose model takes quantized parameters too and expands them in the program."""
    from fjdl.quant import dequantize_tree
    from fjdl.train.layout import Layout

    model = recipe.model

    def apply(params: Any, *rest: Any, **options: Any) -> Any:
        return model.apply(dequantize_tree(params), *rest, **options)

    return dataclasses.replace(recipe, precision=precision, model=model._replace(apply=apply), layout=Layout())


def results_on_test(splits: Any, recipe: Any, params: Any, stats: Any) -> Any:
    """All results of a recipe's network on the test part."""
    from fjdl.train.mesh import make_mesh
    from fjdl.train.program import evaluator_of

    return evaluator_of(recipe, make_mesh()).on(splits.test, part="test")(params, stats)


def bytes_on_disk(params: Any) -> int:
    """Size of the safetensors file of the parameters, with its header, which says how they are quantized."""
    from fjdl.transfer import save_quantized

    with tempfile.TemporaryDirectory() as folder:
        save_quantized(Path(folder) / "parameters", params)
        return (Path(folder) / "parameters").stat().st_size


def batch_prediction(recipe: Any, stats: Any, source: Any, *, size: int) -> Callable[[Any], Any]:
    """From parameters to the outputs for the first examples of a source, at most so many."""
    import jax

    from fjdl.train.precision import at_precision

    count = min(size, source.length)
    batch, network = batch_of(source, range(count)), recipe.network

    def predict(params: Any) -> Any:
        return network(params, stats, batch, network.begin(count), train=False).outputs

    return jax.jit(at_precision(recipe.precision, predict))


def median_milliseconds(call: Callable[[], Any], *, repeats: int) -> float:
    """Median time of `call`, whose result is waited for, after two calls that are not counted."""
    import jax

    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:]) * 1e3


def format_rows(rows: list[dict[str, Any]], options: Options) -> str:
    """The rows as an aligned table."""
    metric, width = list(rows[0])[1], max(len(row["parameters"]) for row in rows)
    lines = [
        f"{'parameters':{width}} {'test ' + metric:>14} {'test loss':>10} {'bytes':>10} "
        f"{f'ms per {options.batch_size}':>12}"
    ]
    lines += [
        f"{row['parameters']:{width}} {row[metric]:14.4f} {row['loss']:10.4f} {row['bytes']:10,} "
        f"{row['milliseconds']:12.2f}"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_guarded(main)
