"""Why a training step was refused, and on which examples."""

from typing import NamedTuple

import jax

from fjdl.train.program import CAUSES, EpochReport
from fjdl.train.recipe import Recipe
from fjdl.train.state import Stream, stream_key

_SHOWN = 8  # examples that are named on the terminal; all of them stand in metrics.jsonl


class Refused(NamedTuple):
    """A step whose loss or gradient was not finite; as text it names the first few examples."""

    step: int
    cause: str  # what was not finite
    examples: list[int]  # numbers of the examples of its batch in the training part

    def __str__(self) -> str:
        few = ", ".join(map(str, self.examples[:_SHOWN]))
        more = f" and {len(self.examples) - _SHOWN} more" if len(self.examples) > _SHOWN else ""
        return f"step {self.step}: {self.cause} not finite, training examples {few}{more}"


def last_refused(report: EpochReport, recipe: Recipe, length: int) -> Refused | None:
    """The last step of an epoch that was refused, or None; its batch, of `length` examples, follows from the seed."""
    if not report.bad:
        return None
    step = int(report.last_bad_step)
    with jax.transfer_guard("allow"):
        key = stream_key(recipe.seed, Stream.ORDER)
        epoch, row = divmod(step, recipe.order.steps(length, recipe.batch_size))
        rows = recipe.order.rows(key, epoch, length=length, batch_size=recipe.batch_size)
        indices, mask = jax.device_get(jax.tree.map(lambda x: x[row], rows))
    return Refused(step, CAUSES[int(report.last_bad_cause)], sorted(indices[mask > 0].tolist()))
