"""Quantize a run's best epoch and compare: `python -m experiments.quantize runs/digits --bits 8 4`."""

import dataclasses
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import tyro

from experiments.command import run_guarded
from experiments.evaluate import LoadedRun, load_run
from fjdl.errors import UsageError

Scheme = Literal["absmax", "zero-point", "nf4", "float8"]
Granularity = Literal["tensor", "channel", "group"]
FIXED = {"nf4": 4, "float8": 8}  # bits of schemes that have no others


@dataclasses.dataclass(frozen=True)
class Options:
    """Post-training quantization of the kernels: one row for each scheme, number of bits and granularity."""

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
    batch_size: int = 128
    """Examples per batch when timing."""
    repeats: int = 50
    """Timed batches; the median counts."""


def main() -> None:
    """Prints one table: the headline on the test part, bytes of the parameters, milliseconds per batch."""
    options = tyro.cli(Options, args=sys.argv[1:])
    check(options)
    run = load_run(options.run)
    rows = compare(run, options)
    from fjdl.train.documents import write_sealed
    from fjdl.tree import digest

    sealed = {"step": int(run.state.step), "state": digest(run.state), "rows": rows}
    write_sealed(options.run / "quantized.json", sealed)
    print(format_rows(rows, options))


def check(options: Options) -> None:
    """Raises `UsageError` for numbers that make no sense."""
    for bits in options.bits:
        if not 2 <= bits <= 8:
            raise UsageError(f"bits must lie in [2, 8], got {bits}")
    for name in ("scheme", "bits", "granularity"):
        if not getattr(options, name):
            raise UsageError(f"{name} must name one at least, got none")
    for name in ("group", "batch_size", "repeats"):
        if getattr(options, name) < 1:
            raise UsageError(f"{name} must be at least 1, got {getattr(options, name)}")


def compare(run: LoadedRun, options: Options) -> list[dict[str, Any]]:
    """One row for each form of the parameters, all on the test part."""
    import jax.numpy as jnp

    from fjdl.quant import quantize_tree
    from fjdl.train.state import evaluated_params
    from fjdl.tree import cast

    params = evaluated_params(run.state)
    forms = {"float32": (params, "float32"), "bfloat16": (cast(params, jnp.bfloat16), "bfloat16")}
    for name, quantize in quantizers(options).items():
        forms[name] = (quantize_tree(params, quantize=quantize), "float32")
    return [
        {"parameters": label, **measure(run, form, precision, options)} for label, (form, precision) in forms.items()
    ]


def quantizers(options: Options) -> dict[str, Callable[[Any], Any]]:
    """What makes a kernel small, by the name of its row; one scale for each channel is not named."""
    schemes, every, blocks = options.scheme, options.bits, options.granularity
    if options.all:
        schemes, every, blocks = get_args(Scheme), (8, 4, 3, 2), get_args(Granularity)
    found = {}
    for scheme, bits, granularity in itertools.product(schemes, every, blocks):
        bits = FIXED.get(scheme, bits)
        name = scheme if scheme in FIXED else f"int{bits} {scheme}"
        shared = {"tensor": " per tensor", "channel": "", "group": f" per {options.group}"}[granularity]
        found[name + shared] = partial(shrunk, scheme=scheme, bits=bits, granularity=granularity, group=options.group)
    return found


def shrunk(kernel: Any, *, scheme: Scheme, bits: int, granularity: Granularity, group: int) -> Any:
    """A kernel quantized: its last axis is that of output channels, the one before that of inputs."""
    from fjdl import quant

    fitting = group if granularity == "group" and kernel.ndim > 1 and kernel.shape[-2] % group == 0 else None
    make = {
        "absmax": partial(quant.absmax_quantize, bits=bits),
        "zero-point": partial(quant.zeropoint_quantize, bits=bits),
        "nf4": quant.nf4_quantize,
        "float8": quant.float8_quantize,
    }
    return make[scheme](kernel, axis=None if granularity == "tensor" else -1, group=fitting)


def measure(run: LoadedRun, params: Any, precision: str, options: Options) -> dict[str, Any]:
    """Headline, loss, bytes and time of one form of the parameters; quantized kernels are expanded in the program."""
    recipe, headline = expanded(run.recipe, precision=precision), run.recipe.told.headline
    results = results_on_test(run, recipe, params)
    predict = batch_prediction(recipe, run.state.stats, run.splits.test, size=options.batch_size)
    return {
        headline: float(results[headline]),
        "loss": float(results["loss"]),
        "bytes": bytes_on_disk(params),
        "milliseconds": median_milliseconds(lambda: predict(params), repeats=options.repeats),
    }


def expanded(recipe: Any, *, precision: str) -> Any:
    """The recipe at a precision, whose model takes quantized parameters too and expands them in the program."""
    from fjdl.quant import dequantize_tree
    from fjdl.train.layout import Layout

    model = recipe.model

    def apply(params: Any, *rest: Any, **options: Any) -> Any:
        return model.apply(dequantize_tree(params), *rest, **options)

    return dataclasses.replace(recipe, precision=precision, model=model._replace(apply=apply), layout=Layout())


def results_on_test(run: LoadedRun, recipe: Any, params: Any) -> Any:
    """All results of a form of the parameters on the run's test part."""
    from fjdl.train.mesh import make_mesh
    from fjdl.train.program import evaluator_of

    return evaluator_of(recipe, make_mesh()).on(run.splits.test, part="test")(params, run.state.stats)


def bytes_on_disk(params: Any) -> int:
    """Size of the safetensors file of the parameters, header included."""
    from fjdl.transfer import save_safetensors

    with tempfile.TemporaryDirectory() as folder:
        save_safetensors(Path(folder) / "parameters", params)
        return (Path(folder) / "parameters").stat().st_size


def batch_prediction(recipe: Any, stats: Any, source: Any, *, size: int) -> Callable[[Any], Any]:
    """From parameters to the outputs for the first examples of a source, at most so many."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from fjdl.batch import assembled
    from fjdl.train.precision import at_precision

    few = np.arange(min(size, source.length))
    examples = {name: jnp.asarray(array) for name, array in source.element(few).items()}
    batch = assembled(examples, jnp.asarray(few, jnp.int32), jnp.ones(few.shape))
    network = recipe.network

    def predict(params: Any) -> Any:
        return network(params, stats, batch, network.begin(len(few)), train=False).outputs

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
