"""Draw a figure of docs: `python -m experiments.pages.advice overfitting --out docs/advice/overfitting.png`."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.command import run_guarded

RATES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
EXAMPLES = 100  # of those that the networks of `overfitting` learn


@dataclasses.dataclass(frozen=True)
class Options:
    """Train small networks on the digits and draw how they learn."""

    what: tyro.conf.Positional[Literal["learning_rate", "overfitting"]]
    """The figure."""
    out: Path
    """The PNG file to write."""
    seeds: int = 5
    """Trainings of each network, with the seeds 0, 1 and so on."""
    epochs: int = 200
    """Epochs of each of them."""


def main() -> None:
    """Trains, draws, and says where and with which last values."""
    options = tyro.cli(Options, args=sys.argv[1:])
    from fjdl.plots.files import save
    from fjdl.plots.pages.convergence import convergence_figure

    makers = {"learning_rate": learning_rates, "overfitting": overfitting}
    curves = makers[options.what](options.seeds, options.epochs)
    titles = {
        "learning_rate": ("A hidden layer of 32 units on the digits, by learning rate", "training cost (nats)"),
        "overfitting": (f"A network that learns {EXAMPLES} digits", "cost (nats)"),
    }
    title, quantity = titles[options.what]
    save(convergence_figure(curves, title=title, quantity=quantity), options.out)
    for name, curve in curves.items():
        print(f"{name}: {float(curve[:, -1].mean()):.4g} after {options.epochs} epochs, mean of {options.seeds} seeds")
    print(options.out)


def learning_rates(seeds: int, epochs: int) -> Mapping[str, Any]:
    """The training cost of a network with one hidden layer after each epoch of plain descent, for each of `RATES`."""
    from fjdl.data.embedded import digits
    from fjdl.data.source import to_arrays
    from fjdl.models import MLP
    from fjdl.optim import sgd

    train = to_arrays(digits().train)
    network = MLP(hidden=(32,), classes=10)
    trained = _trained(train, train, "loss", lambda rate: (network, lambda steps: sgd(rate)), epochs=epochs)
    return {f"rate {rate:g}": _of_seeds(trained, seeds, rate) for rate in RATES}


def overfitting(seeds: int, epochs: int) -> Mapping[str, Any]:
    """The cost of a network on its few training examples and on others, without and with regularization."""
    import jax

    from fjdl.data.embedded import digits
    from fjdl.data.source import to_arrays
    from fjdl.models import MLP
    from fjdl.optim import KERNELS, adam, adamw

    splits = digits()
    train = jax.tree.map(lambda array: array[:EXAMPLES], to_arrays(splits.train))
    kinds: dict[str, Callable[[Any], Any]] = {
        "plain": lambda rate: (MLP(hidden=(256, 256), classes=10), lambda steps: adam(rate)),
        "regularized": lambda rate: (
            MLP(hidden=(256, 256), classes=10, dropout=0.4),
            lambda steps: adamw(rate, weight_decay=2.0, decay_rules=KERNELS),
        ),
    }
    parts = {"training": train, "validation": to_arrays(splits.validation)}
    return {
        f"{kind}, {part}": _of_seeds(_trained(train, held, "loss", made, epochs=epochs), seeds, 1e-3)
        for kind, made in kinds.items()
        for part, held in parts.items()
    }


def _of_seeds(trained: Callable[[int, float], Any], seeds: int, rate: float) -> Any:
    """The curves of all seeds, [seeds, epochs]."""
    import jax.numpy as jnp

    return jnp.stack([trained(seed, rate) for seed in range(seeds)])


def _trained(
    train: Any, measured: Any, result: str, made: Callable[[Any], Any], *, epochs: int
) -> Callable[[int, float], Any]:
    """One compiled training, a function of seed and rate, that gives a result after each epoch."""
    import jax

    from fjdl import nn
    from fjdl.data.embedded import digits
    from fjdl.functional.preprocessing import scale_pixels
    from fjdl.train import Recipe, whole_training
    from fjdl.train.tasks import classification

    task = classification(10)

    @jax.jit
    def run(seed: Any, rate: Any) -> Any:
        network, optimizer = made(rate)
        recipe = Recipe(
            splits=digits, model=nn.pure(network), inputs=lambda batch: scale_pixels(batch["image"], maximum=16),
            loss=task.loss, metrics=task.metrics, optimizer=optimizer, epochs=epochs, batch_size=50, seed=seed,
            training_sample=False,
        )  # fmt: skip
        return whole_training(recipe, train, each=measured).each[result]

    return run


if __name__ == "__main__":
    run_guarded(main)
