"""Ranges of what layers receive, found on examples, and kernels that learn to be rounded."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from fjdl.errors import UsageError


def ranged(model: Any, params: Any, stats: Any, batches: Iterable[Any], **chosen: Any) -> Any:
    """Statistics for `convert` of `nn.quantized.quantized`, with ranges over these inputs of the model.

    The model is as in evaluation. `chosen` are options of `fake_quantized`. Raises `UsageError` for no batches.
    """
    import jax

    batches = list(batches)
    if not batches:
        raise UsageError("ranges are found on examples, got none; calibrate on one at least")
    learning, state = begun(model, stats, batches[0], chosen)
    step = jax.jit(lambda params, state, inputs: learning.apply(params, state, inputs, train=True)[1])
    for inputs in batches:
        state = step(params, state, inputs)
    return {**state, "model": stats}


def begun(model: Any, stats: Any, inputs: Any, chosen: Mapping[str, Any]) -> tuple[Any, Any]:
    """The model that is rounded as it learns, with frozen statistics, and its statistics without ranges yet."""
    import jax

    from fjdl.model import evaluated
    from fjdl.nn.quantized import fake_quantized
    from fjdl.quant.ranges import moving_average

    learning = fake_quantized(evaluated(model), inputs, **chosen)
    calibrator = chosen.get("calibrator") or moving_average()
    paths = jax.eval_shape(learning.init, jax.random.key(0), inputs)[1]["ranges"]
    ranges = {path: calibrator.init() for path in paths}
    return learning, {"model": stats, "ranges": ranges, "steps": jax.numpy.zeros((), jax.numpy.int32)}


def learned(run: Any, network: Any, stats: Any, chosen: Mapping[str, Any], *, options: Any) -> tuple[Any, Any]:
    """Parameters and statistics after epochs of quantization-aware training from the ranges in `stats` on.

    The run's own examples, augmentation and loss; Adam, whose rate falls along a cosine. Raises `UsageError` for data
    that are streamed.
    """
    import jax

    from fjdl.optim import adam
    from fjdl.schedules import warmup_cosine
    from fjdl.train.layout import Layout
    from fjdl.train.mesh import make_mesh
    from fjdl.train.resident import place
    from fjdl.train.whole import whole_training

    model, params, kept, shapes = network
    learning, _ = begun(model, kept, shapes, chosen)

    def optimizer(steps: int) -> Any:
        return adam(warmup_cosine(peak=options.learning_rate, warmup_steps=steps // 10, steps=steps))

    def train(params: Any, stats: Any, data: Any) -> Any:
        trained = dataclasses.replace(
            run.recipe,
            model=learning._replace(init=lambda *_: (params, stats)),
            optimizer=optimizer,
            epochs=options.epochs,
            ema=None,
            layout=Layout(),
        )
        state = whole_training(trained, data, mesh=mesh).state
        return state.params, state.stats

    mesh = make_mesh()
    return jax.jit(train)(params, stats, place(run.splits.train, mesh))
