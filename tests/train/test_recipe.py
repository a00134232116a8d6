import dataclasses
import re
from typing import Any

import jax.numpy as jnp
import pytest

from fjdl.errors import UsageError
from fjdl.train import Recipe
from fjdl.train.summary import Summary
from fjdl.train.tasks import regression
from tests.train.toy import recipe

WRONG = [
    ({"epochs": 0}, "epochs must be at least 1, got 0"),
    ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ({"accumulate": 0}, "accumulate must be at least 1, got 0"),
    ({"save_every": 0}, "save_every must be at least 1, got 0"),
    ({"max_bad_steps": 0}, "max_bad_steps must be at least 1, got 0"),
    ({"seed": -1}, "seed must lie in [0, 2**32), got -1"),
    ({"seed": 2**32}, "seed must lie in [0, 2**32), got 4294967296"),
    ({"batch_size": 64, "accumulate": 3}, "batch_size must be a multiple of accumulate, got 64 and 3"),
    (
        {"precision": "float8"},
        "precision must be one of ['float32', 'tensorfloat32', 'bfloat16', 'float16'], got 'float8'",
    ),
    ({"mode": "maximum"}, "mode must be one of ['max', 'min'], got 'maximum'"),
    ({"ema": 1.0}, "ema must lie in [0, 1), got 1.0"),
    ({"ema": -0.1}, "ema must lie in [0, 1), got -0.1"),
    ({"ema": float("nan")}, "ema must lie in [0, 1), got nan"),
    ({"patience": 0}, "patience must be at least 1, got 0"),
    ({"monitor": "acuracy"}, "monitor must be one of ['accuracy', 'confusion', 'loss'], got 'acuracy'"),
    ({"summary": Summary("f1")}, "headline must be one of ['accuracy', 'confusion', 'loss'], got 'f1'"),
    ({"metrics": {}}, "monitor must be one of ['loss'], got 'accuracy'"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[message.partition(",")[0] for _, message in WRONG])
def test_a_recipe_that_cannot_be_trained_is_refused_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$") as error:
        recipe(**changes)
    assert error.value.exit_status == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 1, "batch_size": 1, "save_every": 1, "max_bad_steps": 1, "patience": 1},
        {"seed": 2**32 - 1, "ema": 0.0},
        {"batch_size": 32, "accumulate": 32},
        {"monitor": "loss", "mode": "min", "metrics": {}},
    ],
    ids=str,
)
def test_the_limits_themselves_are_allowed(changes: dict[str, Any]) -> None:
    made = recipe(**changes)
    assert {name: getattr(made, name) for name in changes} == changes


def test_the_precision_is_that_of_activations() -> None:
    assert recipe().dtype == recipe(precision="tensorfloat32").dtype == jnp.float32
    assert recipe(precision="bfloat16").dtype == jnp.bfloat16


def test_results_are_told_as_the_recipe_says_or_its_task_or_by_what_is_monitored() -> None:
    own, task = Summary("loss", better="min"), regression()
    assert recipe(summary=own).told is own
    assert recipe().told.headline == "accuracy"
    assert recipe(metrics={}, monitor="loss", mode="min").told == own
    assert recipe(loss=lambda outputs, batch: outputs, monitor="loss", mode="min").told == own
    numbers = recipe(loss=task.loss, metrics=task.metrics, monitor="loss", mode="min").told
    assert (numbers.headline, numbers.better) == ("rmse", "min")


def test_a_recipe_is_frozen_and_takes_keywords_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe().epochs = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        Recipe(recipe().splits)  # type: ignore[misc, call-arg]
    assert dataclasses.replace(recipe(), epochs=7).epochs == 7
    with pytest.raises(UsageError):
        dataclasses.replace(recipe(), epochs=0)
