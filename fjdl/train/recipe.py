"""Everything an experiment is."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import optax

from fjdl.batch import alone
from fjdl.data.orders import Order, in_order, shuffled
from fjdl.data.source import Splits
from fjdl.errors import UsageError
from fjdl.metrics import Metric
from fjdl.model import Model
from fjdl.optim import LossScale, chain, dynamic_loss_scale, no_loss_scale, scale_by_path
from fjdl.train.generation import Generation
from fjdl.train.hooks import Hook
from fjdl.train.layout import DATA_PARALLEL, Layout
from fjdl.train.network import Carry, Network
from fjdl.train.precision import Precision, activation_dtype, check_precision
from fjdl.train.pretrained import Pretrained, as_rules
from fjdl.train.resident import Where, check_resident
from fjdl.train.summary import Summary
from fjdl.typing import Array, PRNGKey, PyTree

Loss = Callable[[Any, Any], Array | tuple[Array, Array]]  # of (outputs, batch), see `Recipe.loss`
Batch = Mapping[str, Array]  # the data set's arrays, and beside them those that `fjdl.batch` names


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment as data and pure functions; `fit` needs nothing else but a folder.

    >>> import jax.numpy as jnp, numpy as np, tempfile
    >>> from fjdl.data.source import Splits, from_arrays
    >>> from fjdl.model import Model
    >>> from fjdl.optim import sgd
    >>> from fjdl.train import Recipe, fit
    >>> from fjdl.train.tasks import regression
    >>> x = np.arange(8, dtype=np.float32)
    >>> data = from_arrays({"x": x, "target": 3 * x})
    >>> line = Model(lambda key, x: ({"slope": jnp.zeros(())}, {}), lambda p, s, x, **_: (p["slope"] * x, s))
    >>> task = regression()
    >>> recipe = Recipe(
    ...     splits=lambda: Splits(name="a line", train=data, validation=data, test=data, classes=()),
    ...     model=line, inputs=lambda batch: batch["x"], loss=task.loss, metrics=task.metrics,
    ...     optimizer=lambda steps: sgd(0.02), epochs=9, batch_size=8, monitor="rmse", mode="min",
    ... )
    >>> state = fit(recipe, tempfile.mkdtemp())
    >>> print(f"{state.params['slope']:.3f}")
    3.000
    """

    splits: Callable[[], Splits]
    model: Model
    inputs: Callable[[Batch], Any]  # what the model sees of a batch, in float32
    loss: Loss  # (outputs, batch) to values [batch, ...], never reduced; or to these and the weight of each, as a pair
    metrics: Mapping[str, Metric]  # each updated with (outputs, batch), see `fjdl.metrics.on`
    optimizer: Callable[[int], optax.GradientTransformation]  # of the number of training steps, for its schedule
    epochs: int
    batch_size: int
    seed: int = 0
    pretrained: Pretrained | str | Path | None = None  # weights that a new run begins with; a path alone takes all
    freeze: Sequence[str] = ()  # regexes of whole paths of parameters that stay as they are, see `train.learned`
    rates: Sequence[tuple[str, float]] = ()  # by which updates are multiplied: of the first regex that matches a path
    order: Order = shuffled  # of the training examples, see `fjdl.data.orders`
    evaluation_order: Order = in_order
    training_sample: bool = True  # whether some training examples are measured too, see `train.training_sample`
    carry: Carry | None = None  # the state before sequences that span batches, see `train.network`
    precision: Precision = "float32"  # of activations and products, see `train.precision`; parameters stay float32
    loss_scale: LossScale | None = None  # `optim.dynamic_loss_scale()` by default in float16, and none otherwise
    augment: Callable[[PRNGKey, Batch], Batch] | None = None
    penalty: Callable[[PyTree], Array] | None = None  # of the parameters, added to the mean loss, see losses.penalties
    accumulate: int = 1  # micro-batches whose gradients make one step; equal to the whole batch at once
    ema: float | None = None  # decay of the parameter average that is evaluated instead of the parameters
    monitor: str = "accuracy"  # the validation result that chooses the best epoch
    mode: Literal["max", "min"] = "max"
    patience: int | None = None  # epochs without a new best after which training stops
    save_every: int = 1  # epochs between checkpoints; a new best is always saved
    layout: Layout = DATA_PARALLEL  # the mesh of devices, and which part of the parameters each of them holds
    resident: Where = "auto"  # data in memory: a copy on each device, or a part, see `train.resident.place`
    workers: int = 0  # processes that make streamed examples, beside the threads of this one
    max_bad_steps: int = 20  # consecutive non-finite steps after which training stops
    summary: Summary | None = None  # how results are told; that of the task whose loss this is by default
    generation: Generation | None = None  # how the model writes text, where it does
    hooks: tuple[Hook, ...] = ()  # called with the record of each epoch once it is on the disk, see `train.hooks`

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
        _require(
            self.carry is None or (self.order.carries and self.evaluation_order.carries),
            "a recipe with a carry must have an order and an evaluation_order whose examples go on from batch to "
            "batch, such as orders.lanes(64), got another one",
        )
        check_precision(self.precision)
        check_resident(self.resident)
        _require(self.mode in ("max", "min"), f"mode must be one of ['max', 'min'], got {self.mode!r}")
        _require(self.ema is None or 0 <= self.ema < 1, f"ema must lie in [0, 1), got {self.ema}")
        _require(self.patience is None or self.patience >= 1, f"patience must be at least 1, got {self.patience}")
        for name, chosen in (("monitor", self.monitor), ("headline", self.summary and self.summary.headline)):
            known = sorted({"loss", *self.metrics})
            _require(chosen in (None, *known), f"{name} must be one of {known}, got {chosen!r}")

    @property
    def origin(self) -> Pretrained | None:
        """The weights that a new run begins with."""
        given = self.pretrained
        return given if given is None or isinstance(given, Pretrained) else Pretrained(path=given)

    @property
    def frozen(self) -> tuple[str, ...]:
        """The regexes of parameters that stay as they are."""
        return as_rules(self.freeze)

    def transformation(self, steps: int) -> optax.GradientTransformationExtraArgs:
        """The optimizer of the parameters that learn, with their rates."""
        optimizer = optax.with_extra_args_support(self.optimizer(steps))
        return chain(optimizer, scale_by_path(self.rates)) if self.rates else optimizer

    @property
    def told(self) -> Summary:
        """How results are told: the recipe's summary, or its loss's, or where neither fits the monitored result."""
        chosen = self.summary or getattr(self.loss, "summary", None)
        if chosen is not None and chosen.headline in ("loss", *self.metrics):
            return chosen
        return Summary(self.monitor, better=self.mode)

    @property
    def dtype(self) -> Any:
        """Dtype of activations."""
        return activation_dtype(self.precision)

    @property
    def scaled(self) -> bool:
        """Whether the loss is multiplied by a scale while its gradient is computed."""
        return self.loss_scale is not None or self.precision == "float16"

    @property
    def scaling(self) -> LossScale:
        """That scale, of the mean loss."""
        return self.loss_scale or (dynamic_loss_scale() if self.scaled else no_loss_scale())

    @property
    def network(self) -> Network:
        """The model with what it sees of a batch."""
        return Network(self.model, self.inputs, self.dtype, self.carry)

    def seen(self, example: Mapping[str, Any]) -> Any:
        """What the model sees of one example alone, in float32."""
        return self.network.seen(alone(example))


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise UsageError(rule)
