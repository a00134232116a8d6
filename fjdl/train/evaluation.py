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
from fjdl.data.loading import load_batches_in_order, to_device
from fjdl.data.orders import Order, in_order
from fjdl.data.source import Source
from fjdl.metrics import Metric
from fjdl.metrics.state.mean import mean
from fjdl.model import Model
from fjdl.train.inspection import checked
from fjdl.train.mesh import along, make_mesh, replicated, spread, ways
from fjdl.train.network import Carry, Network
from fjdl.train.precision import Precision, activation_dtype, at_precision
from fjdl.train.processes import local_rows
from fjdl.train.recipe import Batch, Loss
from fjdl.train.resident import Arrays, Row, Where, batch_of, length_of, place
from fjdl.train.step import weighed
from fjdl.typing import PyTree

Results = dict[str, Any]
Answer = Callable[[Any], PyTree]


def _unchanged(outputs: Any) -> Any:
    return outputs


class States(NamedTuple):
    """Where an evaluation is."""

    metrics: dict[str, Any]  # the state of each
    carry: PyTree  # what the model carries to the next batch


class Evaluator(NamedTuple):
    """Jitted functions that evaluate any parameters of one model; each compiles once for each size of a source."""

    whole: Callable[[PyTree, PyTree, Arrays], Results]  # of params, stats and all examples, on the devices
    start: Callable[[int], States]  # of the examples in a batch, and for batches that come one by one
    step: Callable[[States, PyTree, PyTree, Batch], States]
    finish: Callable[[States], Results]
    answers: Callable[[Answer, PyTree, PyTree, Arrays], Any]  # of the outputs, and the rows, batches first
    batch_size: Callable[[int], int]  # examples at a time for a source of that length: a multiple of the devices
    look: Callable[..., Iterator[Any]]  # streamed batches, each looked at before it goes on, see `inspection.checked`
    mesh: Mesh
    workers: int
    resident: Where = "auto"
    order: Order = in_order

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
        arrays = place(source, self.mesh, resident=self.resident)
        found, (indices, masks) = jax.device_get(self.answers(answer, params, stats, arrays))
        places = np.argsort(indices[masks > 0])
        return jax.tree.map(lambda x: x[masks > 0][places], found)

    def _streamed(self, source: Source, part: str, params: PyTree, stats: PyTree) -> Results:
        size = self.batch_size(source.length)
        states = self.start(size)
        rows = load_batches_in_order(
            source, batch_size=size, order=self.order, workers=self.workers, rows=local_rows(size, self.mesh)
        )
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
    order: Order = in_order,
    carry: Carry | None = None,
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
        order=order,
        carry=carry,
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
    order: Order = in_order,
    carry: Carry | None = None,
    workers: int = 0,
    resident: Where = "auto",
) -> Evaluator:
    """The evaluation of a model by metrics of `(outputs, batch)`, as `metrics.on` makes them.

    `inputs`, `loss`, `precision`, `carry`, `workers` and `resident` are as in a `Recipe`, `order` is its
    `evaluation_order`, `mesh` has all local devices by default. Every example counts once; the loss is the mean over
    examples.
    """
    mesh = mesh or make_mesh()
    network = Network(model, inputs, activation_dtype(precision), carry)
    job = _Job(network, metrics, loss, mesh, order, _batch_size(batch_size, mesh, order))

    def jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return jax.jit(at_precision(precision, function), out_shardings=replicated(mesh), **options)

    return Evaluator(
        whole=jit(job.whole),
        start=jit(job.start, static_argnums=0),
        step=jit(job.step, donate_argnums=0),
        finish=jit(job.finish),
        answers=jit(job.answers, static_argnums=0),
        batch_size=job.batch_size,
        look=partial(checked, inputs=inputs, loss=loss),
        mesh=mesh,
        workers=workers,
        resident=resident,
        order=order,
    )


class _Job(NamedTuple):
    """What is evaluated, as pure functions."""

    network: Network
    metrics: Mapping[str, Metric]
    loss: Loss | None
    mesh: Mesh
    order: Order
    batch_size: Callable[[int], int]

    def whole(self, params: PyTree, stats: PyTree, arrays: Arrays) -> Results:
        def body(states: States, row: Row) -> tuple[States, None]:
            return self.step(states, params, stats, self._batch(arrays, row)), None

        rows = self._rows(arrays)
        return self.finish(jax.lax.scan(body, self.start(rows[0].shape[1]), rows)[0])

    def answers(self, answer: Answer, params: PyTree, stats: PyTree, arrays: Arrays) -> tuple[PyTree, Row]:
        def body(carry: PyTree, row: Row) -> tuple[PyTree, PyTree]:
            outputs, _, carry = self.network(params, stats, self._batch(arrays, row), carry, train=False)
            return carry, answer(outputs)

        rows = self._rows(arrays)
        return jax.lax.scan(body, self.network.begin(rows[0].shape[1]), rows)[1], rows

    def start(self, examples: int) -> States:
        return States({name: metric.init() for name, metric in self._measured().items()}, self.network.begin(examples))

    def step(self, states: States, params: PyTree, stats: PyTree, batch: Batch) -> States:
        batch = spread(dict(batch), self.mesh)
        outputs, _, carry = self.network(params, stats, batch, spread(states.carry, self.mesh), train=False)
        with jax.named_scope("metrics"):
            return States(self._updated(states.metrics, outputs, batch), carry)

    def _updated(self, states: dict[str, Any], outputs: Any, batch: Batch) -> dict[str, Any]:
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
        return {name: metric.compute(states.metrics[name]) for name, metric in self._measured().items()}

    def _measured(self) -> dict[str, Metric]:
        return {**self.metrics} if self.loss is None else {**self.metrics, "loss": mean()}

    def _rows(self, arrays: Arrays) -> Row:
        length = length_of(arrays)
        return self.order.rows(None, 0, length=length, batch_size=self.batch_size(length))

    def _batch(self, arrays: Arrays, row: Row) -> Batch:
        return batch_of(arrays, row, self.mesh, order=self.order)


def _batch_size(most: int, mesh: Mesh, order: Order) -> Callable[[int], int]:
    """From the length of a source to the examples evaluated at a time: at most so many, rounded up to the devices."""
    return lambda length: -(-min(most, order.at_once(length)) // ways(mesh)) * ways(mesh)
