"""The benchmark of the input: what its contestants do, and the folder that it makes of public photographs."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.benchmarks import pipeline
from experiments.benchmarks.comparison import Seconds, interleave
from fjdl.data.image_folder import image_folder
from tests.train.toy import recipe, splits


def test_so_many_batches_are_made_and_the_peer_is_last() -> None:
    small = recipe(batch_size=64)
    found = pipeline.comparison("digits", small, 3)
    assert (list(found.runs)[-1], found.calls) == ("training, the batch on the device", 3)
    assert found.runs["batches alone"]() == 3


def test_a_step_is_taken_for_each_batch() -> None:
    trained = pipeline.Training(recipe(batch_size=64))
    assert trained.batch["example_mask"].shape == (64,)
    trained.on([trained.batch] * 2)
    trained.on(pipeline.made(recipe(batch_size=64), recipe().splits().train, 3))
    assert int(trained.state.step) == 5


def test_waiting_is_what_slow_examples_cost_and_no_more() -> None:
    quick = splits()

    def slowly(index: np.ndarray) -> Any:
        time.sleep(0.2)
        return quick.train.element(index)

    slow = dataclasses.replace(quick, train=quick.train._replace(element=slowly))
    trained = pipeline.Training(recipe(splits=lambda: slow, batch_size=32))
    waited = [trained.waited(steps) for steps in (4, 4)][1]
    assert int(trained.state.step) == 8
    assert 0.15 < waited < 0.6  # four threads make one batch each


def test_a_contestant_may_measure_a_part_of_its_call() -> None:
    times = interleave({"part": lambda: Seconds(7.0), "whole": lambda: None}, rounds=2)
    assert times["part"] == [7.0, 7.0]
    assert max(times["whole"]) < 1.0


def test_photographs_become_a_folder_of_two_classes(tmp_path: Path) -> None:
    photographs, root = tmp_path / "photographs", tmp_path / "root"
    photographs.mkdir()
    root.mkdir()
    for number in range(24):
        Image.fromarray(np.full((40, 50, 3), number, np.uint8)).save(photographs / f"{number:02}.png")
    pipeline.linked(photographs, "*.png", root)
    splits = image_folder(root, size=16)
    assert splits.classes == ("0", "1")
    assert splits.train.length + splits.validation.length + splits.test.length == 24
    example = splits.train.element(0)
    assert (example["image"].shape, example["image"].dtype) == ((16, 16, 3), np.uint8)
    assert int(example["image"][0, 0, 0]) % 2 == int(example["label"])
