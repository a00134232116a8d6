"""Networks whose layers multiply integers, with ranges of their inputs that were found before, or in each call."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from experiments.quantizations.learning import learned, ranged
from fjdl.errors import UsageError

Activations = Literal["none", "weights", "static", "dynamic"]
Rounding = Literal["nearest", "gptq"]
Ranges = Literal["moving-average", "extremes", "percentile", "squared-error", "entropy"]


class Form(NamedTuple):
    """What is measured: a recipe whose model takes these parameters and statistics."""

    recipe: Any
    params: Any
    stats: Any


def integer_forms(run: Any, options: Any, mixed: Mapping[str, int] | None = None) -> dict[str, Form]:
    """The forms with integers between layers that the options name, and that of `mixed` bits by layer.

    Batch normalizations are folded.

    Raises `UsageError` for a network whose layers cannot be quantized.
    """
    kinds = [kind for kind in options.activations if kind != "none"]
    if not kinds and not options.learn:
        return {}
    from fjdl.nn.quantized import Bits

    *network, shapes = folded_network(run)
    found = {}
    widths = [*options.bits, *([mixed] if mixed else [])]
    for bits, kind, rounding in itertools.product(widths, kinds, options.rounding):
        inputs = None if kind == "weights" else options.input_bits
        if isinstance(bits, int):
            name, rules = f"int{bits}", _rules(network[0], shapes, Bits(bits, inputs), options=options)
        else:
            name = f"mixed, {options.budget:.0%}"
            rules = tuple((re.escape(path), Bits(count, inputs)) for path, count in bits.items())
        name += "" if rounding == "nearest" else f" {rounding}"
        name += ", inputs float32" if inputs is None else f", inputs int{inputs} {kind}"
        found[name] = _integers(run, network, shapes, rules, kind, rounding, options=options)
    for bits in options.learn:
        rules = _rules(network[0], shapes, Bits(bits, options.input_bits), options=options)
        name = f"int{bits} learned, inputs int{options.input_bits} static"
        found[name] = _integers(run, network, shapes, rules, "static", "learned", options=options)
    return found


def folded_network(run: Any) -> tuple[Any, Any, Any, Any]:
    """The model with normalizations folded, its parameters and statistics, and the shapes of what it sees."""
    from fjdl.train.state import evaluated_params

    shapes = _shapes(run.recipe, run.splits.test)
    return *_folded(run.recipe.model, shapes, evaluated_params(run.state), run.state.stats), shapes


def _shapes(recipe: Any, source: Any) -> Any:
    """What the model sees of one example, as shapes."""
    import jax

    return jax.eval_shape(recipe.network.seen, batch_of(source, [0]))


def batch_of(source: Any, indices: Any) -> dict[str, Any]:
    """The batch of these examples."""
    import jax.numpy as jnp
    import numpy as np

    from fjdl.batch import assembled

    few = np.asarray(indices, np.int32)
    examples = {name: jnp.asarray(array) for name, array in source.element(few).items()}
    return assembled(examples, jnp.asarray(few), jnp.ones(few.shape))


def _folded(model: Any, shapes: Any, params: Any, stats: Any) -> tuple[Any, Any, Any]:
    from fjdl import nn

    try:
        smaller, fold, _ = nn.folded(model, shapes)
    except ValueError as error:
        raise UsageError(f"this network cannot be made of integers: {error}") from error
    return smaller, *fold(params, stats)


def _rules(model: Any, shapes: Any, bits: Any, *, options: Any) -> Any:
    """The bits of each layer; the kernels of the first and the last one may have others."""
    from fjdl.nn.quantized.layers import layers_of

    every = (".*", bits)
    try:
        paths = list(layers_of(model, shapes, (every,), options.outputs).bits)
    except ValueError as error:
        raise UsageError(f"this network cannot be made of integers: {error}") from error
    if options.edges is None or len(paths) < 3:
        return (every,)
    ends = "|".join(re.escape(path) for path in (paths[0], paths[-1]))
    return (ends, bits._replace(kernel=options.edges)), every


def _integers(
    run: Any,
    network: Any,
    shapes: Any,
    rules: Any,
    kind: Activations,
    rounding: Rounding | Literal["learned"],
    *,
    options: Any,
) -> Form:
    """The network of integers, with ranges of the training part where they are to be known before."""
    from fjdl.nn.quantized import quantized, rounded_on_data
    from fjdl.train.layout import Layout

    def examples() -> Iterator[Any]:
        return (run.recipe.network.seen(batch) for batch in calibration_batches(run.splits.train, options))

    model, params, stats = network
    calibrator, kept = calibrators()[options.ranges], stats
    chosen = {"rules": rules, "calibrator": calibrator, "outputs": options.outputs if kind == "static" else ()}
    small, convert = quantized(model, shapes, **chosen, dynamic=kind == "dynamic")
    if kind == "static":
        stats = ranged(model, params, stats, examples(), **chosen)
    if rounding == "gptq":
        params = rounded_on_data(model, params, kept, examples(), rules=rules)
    if rounding == "learned":
        params, stats = learned(run, (*network, shapes), stats, chosen, options=options)
    recipe = dataclasses.replace(run.recipe, precision="float32", model=small, layout=Layout())
    return Form(recipe, *convert(params, stats))


def calibrators() -> Mapping[Ranges, Any]:
    """What finds ranges, by name."""
    from fjdl.quant import ranges

    return {
        "moving-average": ranges.moving_average(),
        "extremes": ranges.minmax(),
        "percentile": ranges.percentile(),
        "squared-error": ranges.mse_optimal(),
        "entropy": ranges.kl_optimal(),
    }


def calibration_batches(source: Any, options: Any) -> Iterator[dict[str, Any]]:
    """Examples in steps over the whole part, since its order may be that of classes."""
    import numpy as np

    count = min(options.calibrate, source.length)
    size = min(options.batch_size, count)
    indices = np.linspace(0, source.length - 1, count).astype(np.int32)
    for start in range(0, count - size + 1, size):
        yield batch_of(source, indices[start : start + size])
