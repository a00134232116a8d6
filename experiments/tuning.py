"""A comparison of optimizers: for each a range test, trials around its suggestion, and runs from several seeds."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

Factory = Callable[[Any], Any]  # from a learning rate to an optimizer

_RANGE, _FACTOR, _MOST_TRIALS = (1e-5, 100.0), 3.0, 8


class Effort(NamedTuple):
    """How much is done for each optimizer."""

    seeds: int  # runs, with the seeds 0, 1 and so on
    epochs: int  # of each of them
    trial_epochs: int  # of each trial of a learning rate
    range_steps: int  # of the range test


class Bench(NamedTuple):
    """What all optimizers share."""

    recipe: Any  # fjdl.train.Recipe, whose optimizer and number of epochs are replaced
    evaluator: Any  # fjdl.train.evaluation.Evaluator
    data: Mapping[str, Any]  # the arrays of each part, on the devices
    records: Path  # one JSON line for each range test, trial and run
    effort: Effort

    @property
    def headline(self) -> str:
        """The result by which optimizers are compared."""
        return self.recipe.told.headline

    def better(self, value: float) -> float:
        """The headline as a number of which more is better."""
        return value if self.recipe.told.better == "max" else -value


def prepare(recipe: Any, records: Path, effort: Effort) -> Bench:
    """Loads the data once, places it on the devices, and drops a record that a crash cut short."""
    from fjdl.files import write_atomically
    from fjdl.train.documents import checked
    from fjdl.train.json_files import encode_record, read_jsonl
    from fjdl.train.mesh import make_mesh
    from fjdl.train.program import evaluator_of
    from fjdl.train.resident import place

    splits = recipe.splits()
    mesh = make_mesh(axes=recipe.layout.axes)
    data = {part: place(getattr(splits, part), mesh, resident=recipe.resident) for part in ("train", "validation")}
    fields = {"optimizer": str, "what": str}
    whole = [checked(record, fields, where=f"a line of {records}") for record in read_jsonl(records)]
    write_atomically(records, "".join(map(encode_record, whole)))
    recipe = dataclasses.replace(recipe, splits=lambda: splits)
    return Bench(recipe, evaluator_of(recipe, mesh), data, records, effort)


def compare(bench: Bench, name: str, factory: Factory) -> None:
    """Does what is not recorded yet of one optimizer: its range test, its trials, its runs.

    A rate that a short training bears may be too much for a long one, in which it stays high for longer: where the
    whole run from seed 0 ends worse than its trial on validation data, a third of the rate is taken.
    """
    rate, reached = tuned_rate(bench, name, factory)
    run = functools.partial(whole_run, bench, name, trainer(bench, factory, epochs=bench.effort.epochs))
    for _ in range(_MOST_TRIALS):
        if bench.better(run(0, rate)["validation"][bench.headline][-1]) >= reached:
            break
        rate /= _FACTOR
    for seed in range(1, bench.effort.seeds):
        run(seed, rate)


def whole_run(
    bench: Bench, name: str, train: Callable[[int, float], "Trained"], seed: int, rate: float
) -> dict[str, Any]:
    """The record of one run, which is made where there is none."""
    for known in recorded(bench, name, "run"):
        if known["seed"] == seed and math.isclose(known["rate"], rate):
            return known
    trained = train(seed, rate)
    test = evaluate(bench, trained.state)
    values = {"seed": seed, "rate": rate, "test": test, "validation": trained.validation, "seconds": trained.seconds}
    record(bench, name, "run", values)
    print(f"{name}: seed {seed}, rate {rate:.2e}, test {bench.headline} {test[bench.headline]:.4f}", flush=True)
    return values


def tuned_rate(bench: Bench, name: str, factory: Factory) -> tuple[float, float]:
    """The rate with the best validation headline after a short training from seed 0, and `better` of that headline."""
    suggestion = suggested_rate(bench, name, factory)
    train = trainer(bench, factory, epochs=bench.effort.trial_epochs)
    trials = {trial["power"]: bench.better(trial[bench.headline]) for trial in recorded(bench, name, "trial")}
    while (power := next_power(trials)) is not None:
        rate = suggestion * _FACTOR**power
        value = train(0, rate).validation[bench.headline][-1]
        trials[power] = bench.better(value)
        record(bench, name, "trial", {"power": power, "rate": rate, bench.headline: value})
        print(f"{name}: rate {rate:.2e}, validation {bench.headline} {value:.4f}", flush=True)
    best = best_power(trials)
    return suggestion * _FACTOR**best, trials[best]


def suggested_rate(bench: Bench, name: str, factory: Factory) -> float:
    """The rate at which the loss falls fastest in a range test, and the middle of the range where it never falls."""
    from fjdl.train.rate_range import learning_rate_range

    known = recorded(bench, name, "range")
    if known:
        return known[0]["rate"]
    low, high = _RANGE
    found = learning_rate_range(bench.recipe, factory, low=low, high=high, steps=bench.effort.range_steps)
    rate = float(found.steepest)
    rate = rate if math.isfinite(rate) else math.sqrt(low * high)
    record(bench, name, "range", {"rate": rate})
    return rate


def next_power(trials: Mapping[int, float]) -> int | None:
    """The next rate to try, as a power of 3 times the suggestion: −1, 0, 1, then on while the best is at an end."""
    untried = [power for power in (-1, 0, 1) if power not in trials]
    if untried:
        return untried[0]
    best = best_power(trials)
    if best not in (min(trials), max(trials)) or len(trials) >= _MOST_TRIALS:
        return None
    return best - 1 if best == min(trials) else best + 1


def best_power(trials: Mapping[int, float]) -> int:
    """That of the highest value, the smallest among equals."""
    return max(sorted(trials), key=lambda power: trials[power])


def record(bench: Bench, name: str, what: str, values: Mapping[str, Any]) -> None:
    """Keeps one result of an optimizer."""
    from fjdl.train.json_files import append_jsonl

    append_jsonl(bench.records, {"optimizer": name, "what": what, **values})


def recorded(bench: Bench, name: str, what: str) -> list[dict[str, Any]]:
    """The records of one kind of an optimizer."""
    from fjdl.train.json_files import read_jsonl

    return [line for line in read_jsonl(bench.records) if (line["optimizer"], line["what"]) == (name, what)]


def finished_runs(bench: Bench, name: str) -> list[dict[str, Any]]:
    """The runs of an optimizer with the seeds that are asked for and the rate that was settled on, by seed."""
    runs = [run for run in recorded(bench, name, "run") if run["seed"] < bench.effort.seeds]
    settled = min(run["rate"] for run in runs)
    return sorted((run for run in runs if math.isclose(run["rate"], settled)), key=lambda run: run["seed"])


class Trained(NamedTuple):
    """The end of a training and its way there."""

    state: Any  # fjdl.train.state.TrainState
    validation: dict[str, list[float]]  # headline and loss after each epoch
    seconds: float  # of training and validation, without compilation


def trainer(bench: Bench, factory: Factory, *, epochs: int) -> Callable[[int, float], Trained]:
    """Training from a seed with a rate that falls to 0 along a cosine; compiled at the first call, once for all."""
    import jax
    import jax.numpy as jnp

    arrays = bench.data["train"], bench.data["validation"]

    @functools.cache
    def compiled() -> Any:
        run = functools.partial(_train, bench, factory, epochs)
        return jax.jit(run).lower(jnp.uint32(0), jnp.float32(0.0), *arrays).compile()

    def train(seed: int, rate: float) -> Trained:
        program = compiled()
        start = time.monotonic()
        state, results = jax.block_until_ready(program(jnp.uint32(seed), jnp.float32(rate), *arrays))
        seconds = time.monotonic() - start
        return Trained(state, {name: values.tolist() for name, values in results.items()}, seconds)

    return train


def evaluate(bench: Bench, state: Any) -> dict[str, float]:
    """Headline and loss on the test part."""
    from fjdl.train.result import measure

    results = measure(bench.evaluator, state, bench.recipe.splits().test, part="test")
    return {name: float(results[name]) for name in (bench.headline, "loss")}


def _train(
    bench: Bench, factory: Factory, epochs: int, seed: Any, rate: Any, train: Any, validation: Any
) -> tuple[Any, dict[str, Any]]:
    """The whole training as one program of the seed and the rate: the last state, and results of each epoch."""
    from fjdl.schedules import cosine
    from fjdl.train.whole import whole_training

    def optimizer(steps: int) -> Any:
        falling = cosine(peak=1.0, steps=steps)
        return factory(lambda step: rate * falling(step))

    recipe = dataclasses.replace(bench.recipe, optimizer=optimizer, epochs=epochs, seed=seed)
    whole = whole_training(recipe, train, each=validation)
    return whole.state, {name: whole.each[name] for name in (bench.headline, "loss")}
