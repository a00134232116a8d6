"""Training in float16, whose loss has a scale that is part of the state."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import optim
from fjdl.errors import DivergedError
from fjdl.train.json_files import read_jsonl
from fjdl.tree import digest
from tests.train.runs import train
from tests.train.toy import batch, first_state, program, recipe

BIG = 2.0**24  # no gradient times it is in the range of float16


def stepped(changed: Any, *, steps: int = 1) -> Any:
    """The state and the tally after steps on one batch."""
    data = batch(32)
    single, state = program(changed).single, first_state(changed, data)
    tally = single.start()
    for _ in range(steps):
        state, tally = single.step(state, tally, data)
    return state, single.finish(tally)


@pytest.mark.by_day_on_pin(0)
def test_a_step_in_float16_is_that_of_float32_to_its_rounding() -> None:
    exact, _ = stepped(recipe())
    half, report = stepped(recipe(precision="float16"))
    assert float(report.loss_scale) == 2**15
    for expected, found in zip(jax.tree.leaves(exact.params), jax.tree.leaves(half.params), strict=True):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_scale_that_is_a_power_of_two_changes_no_bit_in_float32() -> None:
    scaled, _ = stepped(recipe(loss_scale=optim.dynamic_loss_scale(initial=2.0**10)), steps=2)
    plain, _ = stepped(recipe(), steps=2)
    assert digest(scaled.params) == digest(plain.params)


@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_scale_that_is_too_great_falls_until_the_gradients_are_finite(accumulate: int) -> None:
    scaling = optim.dynamic_loss_scale(initial=BIG, backoff=2.0**-6)
    changed = recipe(precision="float16", loss_scale=scaling, accumulate=accumulate)
    first = first_state(changed, batch(32))
    before = digest(first.params)
    state, report = stepped(changed)
    assert digest(state.params) == before
    assert (int(report.bad), float(report.loss_scale)) == (1, BIG / 64)
    state, report = stepped(changed, steps=4)
    assert digest(state.params) != before
    assert 1 <= int(report.bad) < 4
    assert int(state.streak) == 0
    assert int(state.skipped) == int(report.bad)


@pytest.mark.by_day_on_pin(1)
def test_a_run_tells_its_scale_and_ends_where_no_scale_helps(tmp_path: Path) -> None:
    scaling = optim.dynamic_loss_scale(initial=BIG)
    made = recipe(precision="float16", loss_scale=scaling, epochs=1)
    train(made, tmp_path / "run")
    record = read_jsonl(tmp_path / "run" / "metrics.jsonl")[0]
    assert record["train_bad"] > 0
    assert record["train_last_bad_cause"] == "scaled gradient"
    assert record["train_loss_scale"] == BIG / 2 ** record["train_bad"]
    fixed = optim.dynamic_loss_scale(initial=BIG, minimum=BIG, maximum=BIG)
    with pytest.raises(DivergedError, match="step 3: gradient not finite"):
        train(recipe(precision="float16", loss_scale=fixed, epochs=1, max_bad_steps=4), tmp_path / "diverged")


@pytest.mark.by_day_on_pin(1)
def test_a_run_without_a_scale_says_nothing_of_one(tmp_path: Path) -> None:
    train(recipe(epochs=1), tmp_path)
    assert "train_loss_scale" not in read_jsonl(tmp_path / "metrics.jsonl")[0]


@pytest.mark.by_day_on_pin(1)
def test_a_resumed_run_goes_on_with_the_scale_that_it_had(tmp_path: Path) -> None:
    scaling = optim.dynamic_loss_scale(interval=3)
    made = recipe(precision="float16", loss_scale=scaling, epochs=2)
    whole = train(made, tmp_path / "whole")
    train(recipe(precision="float16", loss_scale=scaling, epochs=1), tmp_path / "resumed")
    resumed = train(made, tmp_path / "resumed")
    assert float(whole.scale.scale) > 2**15
    assert digest(resumed) == digest(whole)
