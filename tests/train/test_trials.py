"""Trials as one program of their numbers."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from fjdl import optim
from fjdl.data.source import Splits, from_arrays, to_arrays
from fjdl.models import MLP
from fjdl.train import Recipe, fit
from fjdl.train.json_files import read_jsonl
from fjdl.train.mesh import make_mesh
from fjdl.train.resident import place
from fjdl.train.trials import Progress, Trials, check_numbers, compile_trials
from tests.train.toy import quick, recipe, splits

DEVICE = jax.devices()[:1]


def build(*, seed: Any, rate: float, dropout: float = 0.0, epochs: int = 3, **options: Any) -> Recipe:
    model = quick(MLP(hidden=(8,), classes=10, dropout=dropout))
    return recipe(model=model, seed=seed, optimizer=lambda steps: optim.momentum(rate), epochs=epochs, **options)


def compiled(build: Any, numbers: dict[str, Any], **options: Any) -> tuple[Trials, Any]:
    mesh = make_mesh(DEVICE)
    data = place(splits().train, mesh), place(splits().validation, mesh)
    return compile_trials(build, numbers, train=data[0], validation=data[1], mesh=mesh, **options), data


def ended(trials: Trials, data: Any, numbers: dict[str, Any], *, until: tuple[int, ...] = (3,)) -> Progress:
    given = {name: numbers[name] for name in trials.free}
    progress = trials.begin(given)
    for epoch in until:
        progress = trials.advance(progress, given, np.int32(epoch), *data)
    return progress


def numbers(seed: int, rate: float, dropout: float) -> dict[str, Any]:
    return {"seed": np.uint32(seed), "rate": rate, "dropout": dropout}


def test_one_program_trains_as_fit_does_whatever_the_numbers_are(tmp_path: Path) -> None:
    """In one go and in parts; a rate of dropout of 0 is one of them."""
    trials, data = compiled(build, numbers(0, 0.1, 0.2))
    assert trials.free == ("seed", "rate", "dropout")
    for place_, (seed, rate, dropout) in enumerate(((0, 0.1, 0.2), (3, 0.02, 0.0), (1, 0.5, 0.5))):
        whole = ended(trials, data, numbers(seed, rate, dropout))
        parts = ended(trials, data, numbers(seed, rate, dropout), until=(0, 1, 3))
        np.testing.assert_array_equal(whole.curve, parts.curve)
        fit(build(seed=seed, rate=rate, dropout=dropout), tmp_path / str(place_), devices=DEVICE)
        records = read_jsonl(tmp_path / str(place_) / "metrics.jsonl")
        np.testing.assert_allclose(whole.curve, [record["validation_accuracy"] for record in records], atol=0.021)
    assert trials.advance._cache_size() == 1  # type: ignore[attr-defined]


def test_seeds_at_once_are_seeds_in_turn() -> None:
    several = {"seed": np.array([0, 5], np.uint32), "rate": 0.1}
    at_once, data = compiled(build, several, at_once=True)
    in_turn, _ = compiled(build, {"seed": np.uint32(0), "rate": 0.1})
    assert (at_once.at_once, in_turn.at_once) == (True, False)
    found = ended(at_once, data, several)
    for row, seed in enumerate((0, 5)):
        one = ended(in_turn, data, {"seed": np.uint32(seed), "rate": 0.1})
        np.testing.assert_allclose(found.curve[row], one.curve, atol=1e-6)


def test_numbers_that_decide_in_python_or_make_the_data_are_part_of_the_program() -> None:
    def decides(*, seed: Any, rate: float, chance: float, noise: float) -> Recipe:
        def noisy() -> Splits:
            arrays = {name: array + noise for name, array in to_arrays(splits().train).items()}
            return dataclasses.replace(splits(), train=from_arrays(arrays))

        made = build(seed=seed, rate=rate, dropout=0.1 if chance > 0.5 else 0.0)
        return dataclasses.replace(made, splits=partial(lambda load: load(), noisy))

    trials, _ = compiled(decides, {"seed": np.uint32(0), "rate": 0.1, "chance": 0.2, "noise": 0.5})
    assert trials.free == ("seed", "rate")

    def seeded(*, seed: int, rate: float) -> Recipe:
        return build(seed=int(seed), rate=rate)

    several, _ = compiled(seeded, {"seed": np.array([0, 1], np.uint32), "rate": 0.1}, at_once=True)
    assert (several.free, several.at_once) == (("rate",), False)


def test_values_that_a_recipe_refuses_are_refused() -> None:
    """A program of these numbers takes any of them, so they are looked at before."""
    mesh = make_mesh(DEVICE)
    look = partial(check_numbers, build, train=place(splits().train, mesh), mesh=mesh)
    look({"seed": np.uint32(0), "rate": 0.1, "dropout": 0.0})
    with pytest.raises(ValueError, match=r"rate must lie in \[0, 1\], got 1.5"):
        look({"seed": np.uint32(0), "rate": 0.1, "dropout": 1.5})
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        compiled(partial(build, epochs=0), {"seed": np.uint32(0), "rate": 0.1})


def test_a_trial_ends_where_fit_stops_early_or_gives_up() -> None:
    patient, data = compiled(partial(build, epochs=8, patience=2), {"seed": np.uint32(0), "rate": 0.0})
    curve = np.asarray(ended(patient, data, {"seed": np.uint32(0), "rate": 0.0}, until=(8,)).curve)
    assert np.isfinite(curve).tolist() == [True] * 3 + [False] * 5  # the best is the first epoch
    diverging, data = compiled(partial(build, epochs=8, max_bad_steps=2), {"seed": np.uint32(0), "rate": 1e38})
    found = ended(diverging, data, {"seed": np.uint32(0), "rate": 1e38}, until=(8,))
    assert int(found.streak) >= 2
    assert int(found.state.step) < 8 * 4
