"""Everything an experiment is."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from fjdl.data.source import Splits
from fjdl.errors import UsageError
from fjdl.metrics import Metric
from fjdl.model import Model
from fjdl.typing import Array, PRNGKey, PyTree

Batch = Mapping[str, Array]  # the data set's arrays, and beside them those that `fjdl.batch` names


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment as data and pure functions; `fit` needs nothing else."""

    splits: Callable[[], Splits]
    model: Model
    inputs: Callable[[Batch], Any]  # what the model sees of a batch, in float32
    loss: Callable[[Any, Batch], Array]  # (outputs, batch) to one value per example, never reduced
    metrics: Mapping[str, Metric]  # each updated with (outputs, batch), see `fjdl.metrics.on`
    optimizer: Callable[[int], optax.GradientTransformation]  # of the number of training steps, for its schedule
    epochs: int
    batch_size: int
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"  # of activations; parameters stay float32
    augment: Callable[[PRNGKey, Batch], Batch] | None = None
    penalty: Callable[[PyTree], Array] | None = None  # of the parameters, added to the mean loss, see losses.penalties
    accumulate: int = 1  # micro-batches whose gradients make one step; equal to the whole batch at once
    ema: float | None = None  # decay of the parameter average that is evaluated instead of the parameters
    monitor: str = "accuracy"  # the validation result that chooses the best epoch
    mode: Literal["max", "min"] = "max"
    patience: int | None = None  # epochs without a new best after which training stops
    save_every: int = 1  # epochs between checkpoints; a new best is always saved
    workers: int = 0  # processes that make streamed examples, beside the threads of this one
    max_bad_steps: int = 20  # consecutive non-finite steps after which training stops

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "save_every", "max_bad_steps"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        _require(self.workers >= 0, f"workers must not be negative, got {self.workers}")
        traced = isinstance(self.seed, jax.Array)  # one program for many seeds
        _require(traced or 0 <= self.seed < 2**32, f"seed must lie in [0, 2**32), got {self.seed}")
        _require(
            self.batch_size % self.accumulate == 0,
            f"batch_size must be a multiple of accumulate, got {self.batch_size} and {self.accumulate}",
        )
        for name, known in (("precision", ("float32", "bfloat16")), ("mode", ("max", "min"))):
            value = getattr(self, name)
            _require(value in known, f"{name} must be one of {list(known)}, got {value!r}")
        _require(self.ema is None or 0 <= self.ema < 1, f"ema must lie in [0, 1), got {self.ema}")
        _require(self.patience is None or self.patience >= 1, f"patience must be at least 1, got {self.patience}")
        _require(
            self.monitor == "loss" or self.monitor in self.metrics,
            f"monitor must be one of {sorted({'loss', *self.metrics})}, got {self.monitor!r}",
        )

    @property
    def dtype(self) -> Any:
        """Dtype of activations."""
        return jnp.bfloat16 if self.precision == "bfloat16" else jnp.float32


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise UsageError(rule)
