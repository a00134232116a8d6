"""Quantize a run's best epoch and compare: `python -m experiments.quantize runs/digits`."""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.evaluate import LoadedRun, load_run
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Post-training quantization of the kernels, one scale per output channel."""

    run: tyro.conf.Positional[Path]
    """The run directory; quantized.json is written there."""
    bits: int = 8
    """Bits per weight, 2 to 8."""
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
    if not 2 <= options.bits <= 8:
        raise UsageError(f"bits must lie in [2, 8], got {options.bits}")
    for name in ("batch_size", "repeats"):
        if getattr(options, name) < 1:
            raise UsageError(f"{name} must be at least 1, got {getattr(options, name)}")


def compare(run: LoadedRun, options: Options) -> list[dict[str, Any]]:
    """One row for each form of the parameters, all on the test part."""
    import jax.numpy as jnp

    from fjdl.quant import absmax_quantize, quantize_tree, zeropoint_quantize
    from fjdl.train.state import evaluated_params
    from fjdl.tree import cast

    params = evaluated_params(run.state)
    name = f"int{options.bits}"
    forms = {
        "float32": (params, "float32"),
        "bfloat16": (cast(params, jnp.bfloat16), "bfloat16"),
        f"{name} absmax": (
            quantize_tree(params, quantize=partial(absmax_quantize, bits=options.bits, axis=-1)), "float32",
        ),
        f"{name} zero-point": (
            quantize_tree(params, quantize=partial(zeropoint_quantize, bits=options.bits, axis=-1)), "float32",
        ),
    }  # fmt: skip
    return [
        {"parameters": label, **measure(run, form, precision, options)} for label, (form, precision) in forms.items()
    ]


def measure(run: LoadedRun, params: Any, precision: str, options: Options) -> dict[str, Any]:
    """Headline, loss, bytes and time of one form of the parameters; quantized kernels are expanded in the program."""
    from fjdl.quant import dequantize_tree
    from fjdl.train.layout import Layout
    from fjdl.train.mesh import make_mesh
    from fjdl.train.program import evaluator_of
    from fjdl.tree import size_in_bytes

    model, headline = run.recipe.model, run.recipe.told.headline

    def apply(params: Any, *rest: Any, **options: Any) -> Any:
        return model.apply(dequantize_tree(params), *rest, **options)

    recipe = dataclasses.replace(run.recipe, precision=precision, model=model._replace(apply=apply), layout=Layout())
    results = evaluator_of(recipe, make_mesh()).on(run.splits.test, part="test")(params, run.state.stats)
    predict = batch_prediction(recipe, run.state.stats, run.splits.test, size=options.batch_size)
    return {
        headline: float(results[headline]),
        "loss": float(results["loss"]),
        "bytes": size_in_bytes(params),
        "milliseconds": median_milliseconds(lambda: predict(params), repeats=options.repeats),
    }


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
    metric = list(rows[0])[1]
    lines = [
        f"{'parameters':18} {'test ' + metric:>14} {'test loss':>10} {'bytes':>10} {f'ms per {options.batch_size}':>12}"
    ]
    lines += [
        f"{row['parameters']:18} {row[metric]:14.4f} {row['loss']:10.4f} {row['bytes']:10,} {row['milliseconds']:12.2f}"
        f"{'  stored in whole bytes' if options.bits < 8 and row['parameters'].startswith('int') else ''}"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run_guarded(main)
