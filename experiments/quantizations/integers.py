"""Networks whose layers multiply integers, with ranges of their inputs that were found before, or in each call."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

from fjdl.errors import UsageError

Activations = Literal["none", "static", "dynamic"]
Ranges = Literal["moving-average", "extremes", "percentile", "squared-error", "entropy"]


class Form(NamedTuple):
    """What is measured: a recipe whose model takes these parameters and statistics."""

    recipe: Any
    params: Any
    stats: Any


def integer_forms(run: Any, options: Any) -> dict[str, Form]:
    """The forms with integers between layers that the options name, batch normalizations folded.

    Raises `UsageError` for a network whose layers cannot be quantized.
    """
    kinds = [kind for kind in options.activations if kind != "none"]
    if not kinds:
        return {}
    from fjdl.train.state import evaluated_params

    shapes = _shapes(run.recipe, run.splits.test)
    folded, params, stats = _folded(run.recipe.model, shapes, evaluated_params(run.state), run.state.stats)
    found = {}
    for bits in options.bits:
        rules = _rules(folded, shapes, bits=bits, options=options)
        for kind in kinds:
            name = f"int{bits}, inputs int{options.input_bits} {kind}"
            found[name] = _integers(run, folded, params, stats, shapes, rules, kind=kind, options=options)
    return found


def _shapes(recipe: Any, source: Any) -> Any:
    """What the model sees of one example, as shapes."""
    import jax

    return jax.eval_shape(recipe.network.seen, _batch(source, [0]))


def _batch(source: Any, indices: Any) -> dict[str, Any]:
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


def _rules(model: Any, shapes: Any, *, bits: int, options: Any) -> Any:
    """The bits of each layer; the first and the last one may have others."""
    import re

    from fjdl.nn.quantized import Bits
    from fjdl.nn.quantized.layers import layers_of

    every = (".*", Bits(bits, options.input_bits))
    try:
        paths = list(layers_of(model, shapes, (every,)).bits)
    except ValueError as error:
        raise UsageError(f"this network cannot be made of integers: {error}") from error
    if options.edges is None or len(paths) < 3:
        return (every,)
    ends = "|".join(re.escape(path) for path in (paths[0], paths[-1]))
    return (ends, Bits(options.edges, options.input_bits)), every


def _integers(
    run: Any, model: Any, params: Any, stats: Any, shapes: Any, rules: Any, *, kind: Activations, options: Any
) -> Form:
    """The network of integers, with ranges of the training part where they are to be known before."""
    import dataclasses

    from fjdl.nn.quantized import quantized
    from fjdl.train.layout import Layout

    calibrator = calibrators()[options.ranges]
    small, convert = quantized(model, shapes, rules=rules, calibrator=calibrator, dynamic=kind == "dynamic")
    if kind == "static":
        stats = _ranged(run, model, params, stats, shapes, rules=rules, calibrator=calibrator, options=options)
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


def _ranged(
    run: Any, model: Any, params: Any, stats: Any, shapes: Any, *, rules: Any, calibrator: Any, options: Any
) -> Any:
    """Statistics with the ranges of inputs over examples of the training part."""
    import jax

    from fjdl.model import evaluated
    from fjdl.nn.quantized import fake_quantized

    learning = fake_quantized(evaluated(model), shapes, rules=rules, calibrator=calibrator)
    seen = jax.eval_shape(learning.init, jax.random.key(0), shapes)[1]
    found = {path: calibrator.init() for path in seen["ranges"]}
    state = {**seen, "model": stats, "ranges": found, "steps": jax.numpy.zeros((), jax.numpy.int32)}
    step = jax.jit(partial(_next, learning, run.recipe.network))
    for batch in _batches(run.splits.train, options):
        state = step(params, state, batch)
    return {**state, "model": stats}


def _next(learning: Any, network: Any, params: Any, state: Any, batch: Any) -> Any:
    return learning.apply(params, state, network.seen(batch), train=True)[1]


def _batches(source: Any, options: Any) -> Iterator[dict[str, Any]]:
    """Examples in steps over the whole part, since its order may be that of classes."""
    import numpy as np

    count = min(options.calibrate, source.length)
    size = min(options.batch_size, count)
    indices = np.linspace(0, source.length - 1, count).astype(np.int32)
    for start in range(0, count - size + 1, size):
        yield _batch(source, indices[start : start + size])
