"""Can a config's model learn at all? `python -m experiments.overfit configs/digits_lenet.py --examples 32`.

A model with its loss, its gradient and its optimizer that are all right learns a few examples by heart. This trains the
config's own training step on some of its training examples, without augmentation, penalty and averaging, until their
score is 100 % or their loss near 0, and says in one sentence whether that came about.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from experiments.command import parse, run_guarded
from experiments.mistakes import users_mistakes
from fjdl.errors import FjdlError, UsageError


class NotLearned(FjdlError):
    """The examples were not learned."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Train a config on a few examples until they are learned by heart, and say whether they were."""

    config: tyro.conf.Positional[Path]
    """The config file; its own options follow."""
    examples: int = 32
    """How many training examples, the first ones of the first epoch."""
    steps: int = 500
    """How many training steps it may take at most; each sees all of these examples."""


def main() -> None:
    """Prints losses on the way, and the answer; the exit status is 1 where they were not learned."""
    options, experiment = parse(Options, sys.argv[1:])
    if options.examples < 1 or options.steps < 1:
        raise UsageError(f"examples and steps must be at least 1, got {options.examples} and {options.steps}")
    with users_mistakes():
        found = overfit(experiment.recipe, examples=options.examples, steps=options.steps, say=print)
    if found.trouble:
        raise NotLearned("\n  ".join([found.words, *found.advice]))
    print(found.words)


def overfit(recipe: Any, *, examples: int, steps: int, say: Any = print) -> Any:
    """Trains the recipe on so many of its examples, a batch of all of them each step; gives the `Finding`."""
    import math

    import jax

    from fjdl.train.prepare import check, prepare
    from fjdl.train.resident import place

    prepared = prepare(few(recipe, examples, steps), devices=jax.local_devices()[:1])
    check(prepared)
    small, splits, mesh, program = prepared
    say(f"{splits.train.length} examples of {splits.name}, at most {steps} steps of the config's optimizer")
    arrays, state = place(splits.train, mesh, resident=small.resident), program.begin()
    unmoved = still(small, state, splits.train)
    losses, score, each = [look(prepared, state)[0]], None, max(1, steps // 50)
    for step in range(1, steps + 1):
        state, report = program.epoch(state, arrays)
        if step % each and step != steps:
            losses.append(float(jax.device_get(report.loss)))
            continue
        loss, score = look(prepared, state)
        losses.append(loss)
        say(f"step {step}: loss {loss:.4g}" + ("" if score is None else f", {small.told.headline} {score:.4f}"))
        found = answer(small, losses, score, unmoved)
        if not found.trouble or not math.isfinite(loss):
            break
    return answer(small, losses, score, unmoved)


def answer(recipe: Any, losses: list[float], score: float | None, unmoved: list[str]) -> Any:
    """The finding, in the words of the recipe's headline."""
    from fjdl.diagnosis import can_learn

    return can_learn(losses, score=score, name=recipe.told.headline, unmoved=unmoved)


def few(recipe: Any, examples: int, steps: int) -> Any:
    """The recipe on the first examples of its first epoch, all of which make one batch, and the same to be measured."""
    from fjdl.data.orders import in_order, lanes
    from fjdl.data.source import from_arrays
    from fjdl.train.layout import DATA_PARALLEL

    splits = recipe.splits()
    chosen = [splits.train.element(int(place)) for place in first_of(recipe, splits.train.length, examples)]
    source = from_arrays({name: np.stack([one[name] for one in chosen]) for name in chosen[0]})
    order = lanes(source.length) if recipe.order.carries else in_order
    splits = dataclasses.replace(splits, train=source, validation=source, test=source)
    return dataclasses.replace(
        recipe, splits=lambda: splits, epochs=steps, batch_size=source.length, order=order, evaluation_order=order,
        augment=None, penalty=None, accumulate=1, ema=None, patience=None, layout=DATA_PARALLEL, workers=0,
    )  # fmt: skip


def first_of(recipe: Any, length: int, count: int) -> list[int]:
    """The numbers of the first examples in the recipe's own order, in which those of a class may stand together."""
    import jax

    from fjdl.train.state import Stream, stream_key

    key = stream_key(recipe.seed, Stream.ORDER)
    rows, masks = jax.device_get(recipe.order.rows(key, 0, length=length, batch_size=recipe.batch_size))
    return list(dict.fromkeys(np.asarray(rows)[np.asarray(masks) > 0].tolist()))[:count]


def look(prepared: Any, state: Any) -> tuple[float, float | None]:
    """The loss on the examples, and the headline where it is a proportion."""
    from fjdl.train.result import measure
    from fjdl.train.summary import proportions, summarized

    told = prepared.recipe.told
    results = measure(prepared.program.evaluator, state, prepared.splits.train)
    proportion = told.headline in proportions(summarized(told, results))
    return float(results["loss"]), float(results[told.headline]) if proportion else None


def still(recipe: Any, state: Any, source: Any) -> list[str]:
    """Parameters whose gradient is 0 before the first step."""
    import jax

    from experiments.diagnoses.gradients import batch_of, loss_gradient
    from fjdl.interpret import layer_norms

    norms = jax.jit(lambda params, stats, batch: layer_norms(loss_gradient(recipe, params, stats, batch)))
    found = jax.device_get(norms(state.params, state.stats, batch_of(source, range(source.length))))
    return [name for name, norm in found.items() if norm == 0]


if __name__ == "__main__":
    run_guarded(main)
