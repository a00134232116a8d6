"""A run that begins with trained weights: which arrays it takes, which it draws, and that it can be taken up."""

import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import tree
from fjdl.nn import Model, pure
from fjdl.train import checkpoint, fit
from fjdl.train.rundir import RunDirectory
from fjdl.transfer import Layout, from_torch, pretrained
from tests.train.toy import Centred, devices, program, random_params, recipe

IMAGES = jnp.ones((1, 8, 8, 1))
LAYOUT = Layout(((r"logits", r"fc"), (r"mean", r"input")))


def weights(classes: int) -> tuple[Any, Any]:
    params = random_params(pure(Centred(classes)), IMAGES, seed=1)
    return params, {"batch_stats": {"mean": np.arange(64, dtype=np.float32)}}


def load(params: Any, stats: Any) -> tuple[Any, Any]:
    """The weights by way of a PyTorch state dict, into the abstract arrays that are asked for."""
    classes = params["logits"]["bias"].shape[0]
    tensors = {"fc.weight": weights(classes)[0]["logits"]["kernel"].T, "fc.bias": weights(classes)[0]["logits"]["bias"]}
    return from_torch({**tensors, "input": weights(classes)[1]["batch_stats"]["mean"]}, params, stats, LAYOUT)


def initial(model: Model) -> tuple[Any, Any]:
    return jax.jit(model.init)(jax.random.key(0), IMAGES)


def test_parameters_and_statistics_are_the_trained_ones_to_the_bit() -> None:
    params, stats = initial(pretrained(pure(Centred(10)), load))
    assert tree.digest((params, stats)) == tree.digest(weights(10))
    assert isinstance(params["logits"]["kernel"], jax.Array)


def test_a_head_is_drawn_afresh_for_as_many_classes_as_the_new_task_has() -> None:
    model = pure(Centred(3))
    params, stats = initial(pretrained(model, load, original=pure(Centred(10)), head="logits/.*"))
    fresh, _ = initial(model)
    assert tree.digest(params) == tree.digest(fresh)
    assert tree.digest(stats) == tree.digest(weights(10)[1])
    only_bias, _ = initial(pretrained(pure(Centred(10)), load, head="logits/bias"))
    assert tree.digest(only_bias["logits"]["kernel"]) == tree.digest(weights(10)[0]["logits"]["kernel"])
    assert not only_bias["logits"]["bias"].any()


def test_a_run_begins_with_them_and_is_taken_up_from_its_checkpoint(tmp_path: Path) -> None:
    calls = []

    def counted(params: Any, stats: Any) -> tuple[Any, Any]:
        calls.append(1)
        return load(params, stats)

    made = recipe(model=pretrained(pure(Centred(10)), counted), epochs=2)
    assert not calls
    assert tree.digest(program(made).init().params) == tree.digest(weights(10)[0])
    assert len(calls) == 1
    runs = [RunDirectory(path=tmp_path / name) for name in ("whole", "broken")]
    runs[0].path.mkdir()
    whole = fit(made, runs[0], devices=devices())
    assert int(whole.step) == 8
    shutil.copytree(runs[0].path, runs[1].path)
    shutil.rmtree(runs[1].checkpoints / "8")
    assert tree.digest(fit(made, runs[1], devices=devices())) == tree.digest(whole)
    assert checkpoint.steps(runs[1].checkpoints) == checkpoint.steps(runs[0].checkpoints)


WRONG: dict[str, tuple[Any, str]] = {
    "shape": (
        lambda p, s: ({"logits": {**p["logits"], "bias": np.ones(3)}}, s),
        r"'logits/bias' must have shape \(10,\)",
    ),
    "missing": (lambda p, s: ({"logits": {"bias": np.ones(10)}}, s), "'logits/kernel' must have shape .*, got nothing"),
    "besides": (lambda p, s: ({**p, "more": np.ones(1)}, s), "must be those of the model, got 'more' besides"),
    "statistics": (lambda p, s: (p, {}), "'batch_stats/mean' must have shape .*, got nothing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_of_another_model_are_refused(case: str) -> None:
    change, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        initial(pretrained(pure(Centred(10)), lambda params, stats: change(*load(params, stats))))


def test_the_layers_and_the_outputs_are_those_of_the_model() -> None:
    model = pure(Centred(10))
    made = pretrained(model, load)
    assert made.apply is model.apply
    assert made.layers(IMAGES) == model.layers(IMAGES)
