"""Evaluation: what metrics and a loss come to on a source, of a model and its parameters alone."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from fjdl.batch import EXAMPLE_MASK, of_batch
from fjdl.data.batches import sequential_indices
from fjdl.data.loading import load_batches_in_order, to_device
from fjdl.data.source import Source
from fjdl.metrics import Metric
from fjdl.metrics.state.mean import mean
from fjdl.model import Model
from fjdl.train.inspection import checked
from fjdl.train.mesh import along, make_mesh, replicated, spread
from fjdl.train.precision import Precision, activation_dtype, at_precision
from fjdl.train.recipe import Batch, Loss
from fjdl.train.resident import Arrays, Row, Where, batch_of, length_of, place
from fjdl.train.step import weighed
from fjdl.tree import cast
from fjdl.typing import PyTree

Results = dict[str, Any]
States = dict[str, Any]
Answer = Callable[[Any], PyTree]


def _unchanged(outputs: Any) -> Any:
    return outputs


class Evaluator(NamedTuple):
    """Jitted functions that evaluate any parameters of one model; each compiles once for each size of a source."""

    whole: Callable[[PyTree, PyTree, Arrays], Results]  # of params, stats and all examples, on the devices
    start: Callable[[], States]  # and for batches that come one by one
    step: Callable[[States, PyTree, PyTree, Batch], States]
    finish: Callable[[States], Results]
    answers: Callable[[Answer, PyTree, PyTree, Arrays], PyTree]  # of the outputs, a batch along the first axis
    batch_size: Callable[[int], int]  # examples at a time for a source of that length: a multiple of the devices
    look: Callable[..., Iterator[Any]]  # streamed batches, each looked at before it goes on, see `inspection.checked`
    mesh: Mesh
    workers: int
    resident: Where = "auto"

    def on(self, source: Source, *, part: str = "given") -> Callable[[PyTree, PyTree], Results]:
        """`(params, stats) -> results` on the examples of `source`, which errors call `part`.

        They are placed on the devices here, or streamed at each call.
        """
        if source.streamed:
            return partial(self._streamed, source, part)
        arrays = place(source, self.mesh, resident=self.resident)
        return lambda params, stats: self.whole(params, stats, arrays)

    def predict(self, params: PyTree, stats: PyTree, source: Source, *, answer: Answer = _unchanged) -> PyTree:
        """`answer(outputs)` of every example of `source` in its order, as arrays on the host.

        They are computed in the batches of the evaluation. Examples lie along the first axis of the outputs and of what
        `answer` makes of them. Raises `UsageError` for a streamed source.
        """
        found = self.answers(answer, params, stats, place(source, self.mesh, resident=self.resident))
        return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:])[: source.length], found)

    def _streamed(self, source: Source, part: str, params: PyTree, stats: PyTree) -> Results:
        states = self.start()
        rows = load_batches_in_order(source, batch_size=self.batch_size(source.length), workers=self.workers)
        with closing(to_device(self.look(rows, part=part), sharding=along(self.mesh))) as batches:
            for batch in batches:
                states = self.step(states, params, stats, batch)
        return self.finish(states)


def evaluate(
    model: Model,
    metrics: Mapping[str, Metric],
    params: PyTree,
    stats: PyTree,
    source: Source,
    *,
    inputs: Callable[[Batch], Any],
    loss: Loss | None = None,
    batch_size: int = 256,
    precision: Precision = "float32",
    mesh: Mesh | None = None,
    workers: int = 0,
    resident: Where = "auto",
) -> Results:
    """The result of each metric, and the mean loss over examples where there is a loss, on every example of `source`.

    The options are those of `evaluator`, which serves for more than one source or other parameters. Raises `DataError`
    for an example of a streamed source that breaks a rule of the loss.
    """
    made = evaluator(
        model,
        metrics,
        inputs=inputs,
        loss=loss,
        batch_size=batch_size,
        precision=precision,
        mesh=mesh,
        workers=workers,
        resident=resident,
    )
    return made.on(source)(params, stats)


def evaluator(
    model: Model,
    metrics: Mapping[str, Metric],
    *,
    inputs: Callable[[Batch], Any],
    loss: Loss | None = None,
    batch_size: int = 256,
    precision: Precision = "float32",
    mesh: Mesh | None = None,
    workers: int = 0,
    resident: Where = "auto",
) -> Evaluator:
    """The evaluation of a model by metrics of `(outputs, batch)`, as `metrics.on` makes them.

    `inputs`, `loss`, `precision`, `workers` and `resident` are as in a `Recipe`, `mesh` has all local devices by
    default. Every example counts once; the loss is the mean over examples.
    """
    mesh = mesh or make_mesh()
    job = _Job(model, metrics, inputs, loss, activation_dtype(precision), mesh, _batch_size(batch_size, mesh))

    def jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return jax.jit(at_precision(precision, function), out_shardings=replicated(mesh), **options)

    return Evaluator(
        whole=jit(job.whole),
        start=jit(job.start),
        step=jit(job.step, donate_argnums=0),
        finish=jit(job.finish),
        answers=jit(job.answers, static_argnums=0),
        batch_size=job.batch_size,
        look=partial(checked, inputs=inputs, loss=loss),
        mesh=mesh,
        workers=workers,
        resident=resident,
    )


class _Job(NamedTuple):
    """What is evaluated, as pure functions."""

    model: Model
    metrics: Mapping[str, Metric]
    inputs: Callable[[Batch], Any]
    loss: Loss | None
    dtype: Any
    mesh: Mesh
    batch_size: Callable[[int], int]

    def whole(self, params: PyTree, stats: PyTree, arrays: Arrays) -> Results:
        def body(states: States, row: Row) -> tuple[States, None]:
            return self.step(states, params, stats, batch_of(arrays, row, self.mesh)), None

        return self.finish(jax.lax.scan(body, self.start(), self._rows(arrays))[0])

    def answers(self, answer: Answer, params: PyTree, stats: PyTree, arrays: Arrays) -> PyTree:
        def body(_: None, row: Row) -> tuple[None, PyTree]:
            return None, answer(self._outputs(params, stats, batch_of(arrays, row, self.mesh)))

        return jax.lax.scan(body, None, self._rows(arrays))[1]

    def start(self) -> States:
        return {name: metric.init() for name, metric in self._measured().items()}

    def step(self, states: States, params: PyTree, stats: PyTree, batch: Batch) -> States:
        batch = spread(dict(batch), self.mesh)
        outputs = self._outputs(params, stats, batch)
        with jax.named_scope("metrics"):
            return self._updated(states, outputs, batch)

    def _updated(self, states: States, outputs: Any, batch: Batch) -> States:
        """The states with a batch; metrics see its mask as booleans, so that they count and do not add up weights."""
        counted = {**batch, EXAMPLE_MASK: batch[EXAMPLE_MASK].astype(bool)} if EXAMPLE_MASK in batch else batch
        new = {
            name: of_batch(f"metric {name!r}", metric.update, states[name], outputs, counted)
            for name, metric in self.metrics.items()
        }
        if self.loss is None:
            return new
        values, mask, weights = weighed(self.loss, outputs, batch)
        weights = mask if weights is None else jnp.where(mask, weights, 0)
        return {**new, "loss": mean().update(states["loss"], values.reshape(-1), weights=weights.reshape(-1))}

    def finish(self, states: States) -> Results:
        return {name: metric.compute(states[name]) for name, metric in self._measured().items()}

    def _outputs(self, params: PyTree, stats: PyTree, batch: Batch) -> Any:
        with jax.named_scope("inputs"):
            inputs = cast(of_batch("inputs", self.inputs, batch), self.dtype)
        return self.model.apply(params, stats, inputs, train=False)[0]

    def _measured(self) -> dict[str, Metric]:
        return {**self.metrics} if self.loss is None else {**self.metrics, "loss": mean()}

    def _rows(self, arrays: Arrays) -> Row:
        length = length_of(arrays)
        return sequential_indices(length=length, batch_size=self.batch_size(length))


def _batch_size(most: int, mesh: Mesh) -> Callable[[int], int]:
    """From the length of a source to the examples evaluated at a time: at most so many, rounded up to the devices."""
    return lambda length: -(-min(most, length) // mesh.size) * mesh.size
