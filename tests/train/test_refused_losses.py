"""A loss or a penalty of the wrong shape is refused before training."""

from collections.abc import Callable
from typing import Any

import jax
import pytest

from fjdl.train.step import make_train_step
from tests.train.toy import batch, first_state, mesh, recipe

LOSSES: dict[str, tuple[Callable[..., Any], str]] = {
    "a mean": (lambda outputs, batch: outputs.mean(), r"got shape \(\)"),
    "classes": (lambda outputs, batch: outputs.mean(axis=0), r"got shape \(10,\)"),
}


@pytest.mark.parametrize("case", LOSSES)
def test_a_loss_without_a_value_for_each_example_is_refused(case: str) -> None:
    loss, got = LOSSES[case]
    made, given = recipe(loss=loss), batch(32)
    message = f"^loss must give one value for each of the 32 examples of a batch, {got}; losses of fjdl reduce the last"
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(make_train_step(made, mesh(), steps=1), first_state(made, given), given)


def test_a_penalty_of_several_numbers_is_refused() -> None:
    made, given = recipe(penalty=lambda params: params["logits"]["bias"]), batch(32)
    with pytest.raises(ValueError, match=r"^penalty must give one number, got shape \(10,\)"):
        jax.eval_shape(make_train_step(made, mesh(), steps=1), first_state(made, given), given)
