"""A model with what it sees of a batch, and the state that it carries from one batch to the next."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.batch import BEGINS, of_batch
from fjdl.model import Model
from fjdl.tree import cast
from fjdl.typing import Array, PyTree

Carry = Callable[[int], PyTree]  # from a number of examples to the state before their sequences, examples first


class Run(NamedTuple):
    """What a network makes of a batch."""

    outputs: Any
    stats: PyTree
    carry: PyTree  # after the batch, () for a model that carries none


class Network(NamedTuple):
    """A model, what it sees of a batch, the dtype of that, and what it carries.

    A model that carries a state sees the pair `(inputs, carry)` and gives the pair `(outputs, carry)`. The carry of an
    example that begins a sequence is `carry(1)`, whatever stood in its place of the batch before. It keeps the dtypes
    of `carry(1)`, so that a state in float32 loses nothing between batches. No gradient goes back through it.
    """

    model: Model
    inputs: Callable[[Mapping[str, Array]], Any]
    dtype: Any
    carry: Carry | None = None

    def seen(self, batch: Mapping[str, Array]) -> Any:
        """What the model sees of a batch, as the data have it, and whose examples all begin a sequence."""
        inputs = of_batch("inputs", self.inputs, batch)
        return inputs if self.carry is None else (inputs, self.carry(_examples(batch)))

    def begin(self, examples: int) -> PyTree:
        """The carry of a batch whose examples all begin a sequence."""
        return () if self.carry is None else self.carry(examples)

    def __call__(self, params: PyTree, stats: PyTree, batch: Mapping[str, Array], carry: PyTree, **options: Any) -> Run:
        """The outputs of a batch, with statistics and carry after it; options are those of `Model.apply`."""
        with jax.named_scope("inputs"):
            inputs = cast(of_batch("inputs", self.inputs, batch), self.dtype)
        if self.carry is None:
            return Run(*self.model.apply(params, stats, inputs, **options), ())
        before = self._before(batch, carry)
        (outputs, after), stats = self.model.apply(params, stats, (inputs, before), **options)
        kept = jax.tree.map(lambda new, old: jax.lax.stop_gradient(new).astype(old.dtype), after, before)
        return Run(outputs, stats, kept)

    def _before(self, batch: Mapping[str, Array], carry: PyTree) -> PyTree:
        first = self.begin(_examples(batch))
        if BEGINS not in batch:
            return first
        return jax.tree.map(lambda new, old: jnp.where(_leading(batch[BEGINS], like=old), new, old), first, carry)


def _examples(batch: Mapping[str, Array]) -> int:
    return next(iter(batch.values())).shape[0]


def _leading(flags: Array, *, like: Array) -> Array:
    return flags.reshape(-1, *[1] * (like.ndim - 1))
