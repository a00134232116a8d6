import dataclasses
import json
import re
import shlex
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import matplotlib.image
import numpy as np
import pytest
from flax import linen
from PIL import Image

from experiments.evaluate import LoadedRun, load_run
from experiments.plot import attention_map, first_filters, mistakes_figure, predictions
from fjdl.data.sentences import PADDED
from fjdl.data.source import from_arrays, to_arrays
from fjdl.data.text import SPECIALS, WHITESPACE, Coder, TextSplits, build_vocabulary, encode_texts
from fjdl.models import (
    DeepAverage,
    EncoderDecoder,
    LogisticRegression,
    TransformerTextDecoder,
    TransformerTextEncoder,
    resnet18,
)
from fjdl.nn import Conv, TransformerDecoderBlock, TransformerEncoderBlock, method, pure
from fjdl.train.generation import answers
from fjdl.train.json_files import read_json
from fjdl.train.prepare import prepare
from fjdl.train.recipe import Recipe
from fjdl.train.tasks import classification
from fjdl.typing import Array
from tests.experiments.support import Command, snapshot
from tests.support import ROOT
from tests.train.toy import random_params, recipe


class Backwards(linen.Module):
    """Its first convolution has the last name."""

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = Conv(5, (3, 3), name="z")(x)
        return Conv(7, (1, 1), name="a")(x)


def untrained(module: linen.Module, *, channels: int = 3) -> LoadedRun:
    """A run of a network that was never made: its parameters are shapes with their own sizes in them."""
    model, images = pure(module), np.zeros((1, 64, 64, channels), np.float32)
    params, stats = jax.eval_shape(model.init, jax.random.key(0), images)
    state: Any = SimpleNamespace(params=params, stats=stats, ema=())
    splits = SimpleNamespace(test=from_arrays({"image": images}))
    recipe = SimpleNamespace(model=model, seen=lambda example: example["image"][None])
    return LoadedRun(recipe, splits, None, state)


@pytest.mark.parametrize(
    ("module", "shape"),
    [(Backwards(), (3, 3, 3, 5)), (resnet18(classes=10), (7, 7, 3, 64)), (LogisticRegression(10), None)],
    ids=["names backwards", "resnet18", "no convolution"],
)
def test_the_first_filters_are_those_of_the_layer_that_is_called_first(
    module: linen.Module, shape: tuple[int, ...] | None
) -> None:
    kernel = first_filters(untrained(module))
    assert shape == (None if kernel is None else kernel.shape)


def test_mistakes_are_found_in_the_batches_of_the_evaluation(trained_run: Path) -> None:
    run, sizes = load_run(trained_run), []
    apply = run.recipe.model.apply

    def watched(params: Any, stats: Any, inputs: Any, **options: Any) -> Any:
        sizes.append(inputs.shape[0])
        return apply(params, stats, inputs, **options)

    recipe = dataclasses.replace(run.recipe, model=run.recipe.model._replace(apply=watched))
    predicted, certainty = predictions(dataclasses.replace(run, program=prepare(recipe).program))
    assert set(sizes) == {256}  # four training batches; the test part has 360
    arrays, matrix = to_arrays(run.splits.test), np.zeros((10, 10), int)
    np.add.at(matrix, (arrays["label"], predicted), 1)
    assert matrix.tolist() == read_json(trained_run / "result.json")["test"]["confusion"]
    weights, bias = (np.asarray(run.state.params["logits"][name]) for name in ("kernel", "bias"))
    logits = arrays["image"].reshape(360, 64) / 16 @ weights + bias
    expected = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).max(axis=1)
    np.testing.assert_allclose(certainty, expected, rtol=1e-5)


def test_mistakes_of_a_network_with_auxiliary_classifiers_are_those_of_its_logits() -> None:
    task, plain = classification(10, auxiliary={"early": 0.3}), recipe()

    def apply(params: Any, stats: Any, inputs: Any, **options: Any) -> Any:
        logits, stats = plain.model.apply(params, stats, inputs, **options)
        return {"early": -logits, "logits": logits}, stats

    made = recipe(model=plain.model._replace(apply=apply), loss=task.loss, metrics=task.metrics)
    found, expected = (predictions(untrained_run(chosen)) for chosen in (made, plain))
    np.testing.assert_array_equal(found, expected)


def test_mistakes_of_texts_are_the_words_before_their_padding() -> None:
    coder = Coder(WHITESPACE, build_vocabulary(["the", "film", "is", "not", "bad"], specials=PADDED))
    tokens, length = encode_texts(coder, ["bad film", "the film is not bad"], steps=7)
    part = from_arrays({"tokens": tokens, "length": length, "label": np.array([0, 1], np.int32)})
    data = TextSplits(
        name="films", train=part, validation=part, test=part, classes=("no", "yes"), coders={"tokens": coder}
    )
    task, model = classification(2), pure(DeepAverage(vocabulary=len(coder.vocabulary), classes=2, features=2))
    made = recipe(
        splits=lambda: data, model=model, loss=task.loss, metrics=task.metrics, batch_size=8,
        inputs=lambda batch: (batch["tokens"], batch["length"]),
    )  # fmt: skip
    run = untrained_run(made)
    predicted, _ = predictions(run)
    figure = mistakes_figure(run, title="films")
    texts = {0: "bad film", 1: "the film is not bad"}
    shown = {text.get_text() for text in figure.texts}
    assert shown & {*texts.values()} == {texts[i] for i in (0, 1) if predicted[i] != i}
    assert figure.get_supxlabel() == f"{sum(predicted[i] != i for i in (0, 1))} of 2 wrong"
    plain = dataclasses.replace(run, splits=dataclasses.replace(data, coders={}))
    assert mistakes_figure(plain, title="films") is None


@pytest.mark.by_day_on_pin(1)
def test_the_map_of_attention_has_the_tokens_of_the_first_example_and_of_the_answer_to_it() -> None:
    """One map: the mean over the heads of the last block, of as many rows as the answer has tokens."""
    coders = {
        "source": Coder(WHITESPACE, build_vocabulary(["a", "dog", "runs"], specials=SPECIALS)),
        "target": Coder(WHITESPACE, build_vocabulary(["ein", "hund"], specials=SPECIALS)),
    }
    network = EncoderDecoder(
        vocabulary=len(coders["target"].vocabulary), source_vocabulary=len(coders["source"].vocabulary), features=4,
        encoder=partial(TransformerTextEncoder, partial(TransformerEncoderBlock, 4, 2, 8), 1),
        decoder=partial(TransformerTextDecoder, partial(TransformerDecoderBlock, 4, 2, 8), 1),
    )  # fmt: skip
    source = np.array([[4, 5, 6, 0, 0], [6, 6, 6, 6, 6]], np.int32)
    inputs = (source, np.array([3, 5], np.int32)), (np.array([[2, 4, 5, 3], [2, 5, 4, 3]], np.int32), None)
    names = [coders["source"].vocabulary.tokens[token] for token in source[0, :3]]
    params = random_params(pure(network), inputs)
    methods = {name: method(network, name) for name in ("begin", "step", "weights")}
    generation = answers(coders=lambda: coders, length=3, **methods)
    splits = SimpleNamespace(test=from_arrays({"source": source, "source_length": inputs[0][1]}))
    state: Any = SimpleNamespace(params=params, stats={}, ema=())
    figure = attention_map(LoadedRun(SimpleNamespace(generation=generation), splits, None, state), title="dogs")
    axes, _ = figure.axes  # the map and its scale
    shown = np.asarray(axes.images[0].get_array())
    columns, rows = (
        [label.get_text() for label in labels()] for labels in (axes.get_xticklabels, axes.get_yticklabels)
    )
    assert columns == names
    answer: list[int] = []
    scores = jax.jit(pure(network).apply)
    while len(answer) < 3 and answer[-1:] != [3]:
        fed = np.array([[2, *answer, *[0] * (4 - len(answer))]], np.int32)[:, :5]
        logits, _ = scores(params, {}, ((source[:1, :3], None), (fed, None)))
        answer.append(int(np.argmax(logits[0, len(answer)])))
    assert rows == [coders["target"].vocabulary.tokens[token] for token in answer]
    words = np.array([[2, *answer]], np.int32), None
    expected = jax.jit(methods["weights"])(params, {}, ((source[:1, :3], None), words))
    np.testing.assert_allclose(shown, expected[0], rtol=1e-5)
    np.testing.assert_allclose(shown.sum(axis=1), 1, rtol=1e-5)
    assert figure.get_suptitle() == "dogs"


def untrained_run(made: Recipe) -> LoadedRun:
    _, splits, _, program = prepare(made)
    return LoadedRun(made, splits, program, program.init())


def test_every_figure_is_a_readable_png_with_the_same_bytes_each_time(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = snapshot(run)
    outcome = command("plot", run)
    assert outcome.status == 0
    paths = [Path(line) for line in outcome.out.splitlines()]
    names = ["learning_curves", "confusion", "mistakes", "reliability", "thresholds"]
    assert [path.stem for path in paths] == names
    assert {path.parent for path in paths} == {run / "plots"}
    for path in paths:
        pixels = matplotlib.image.imread(path)
        assert min(pixels.shape[:2]) > 100
        assert pixels[..., :3].std() > 0.01
    assert {name: digest for name, digest in snapshot(run).items() if not name.startswith("plots/")} == before

    drawn = snapshot(run)
    assert command("plot", run).status == 0
    assert snapshot(run) == drawn


@pytest.mark.by_day_on_pin(0)
def test_a_montage_says_in_the_file_which_run_and_which_numbers_it_shows(
    trained_run: Path, tmp_path: Path, command: Command
) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    assert command("plot", run, "--montage", tmp_path / "montage.png").status == 0
    about, result = described(tmp_path / "montage.png"), read_json(run / "result.json")
    assert about == {
        "jax": jax.__version__,
        **{name: result[name] for name in ("state", "command", "hardware", "best_epoch", "epochs", "test")},
    }


def described(picture: Path) -> dict[str, Any]:
    """What a montage says about itself."""
    with Image.open(picture) as image:
        return json.loads(image.info["Description"])


def test_the_picture_of_the_demo_has_the_numbers_of_its_config_and_of_the_run_that_make_demo_leaves() -> None:
    about, demo = described(ROOT / "docs" / "demo.png"), ROOT / "demo" / "digits_lenet"
    accuracy = about["test"]["accuracy"]
    header = re.search(r"accuracy ([\d.]+) ± ([\d.]+) %", (ROOT / "configs" / "digits_lenet.py").read_text())
    assert header is not None
    mean, deviation = (float(number) / 100 for number in header.groups())
    assert abs(accuracy - mean) < 3 * deviation
    command = shlex.join(shlex.split(about["command"])[1:])
    assert command == "-m experiments.train configs/digits_lenet.py --run-dir demo/digits_lenet"
    assert f"$(BIN)/python {command}".replace(str(demo.relative_to(ROOT)), "$(DEMO)") in (ROOT / "Makefile").read_text()
    if not (demo / "result.json").exists():
        return  # nobody has made the demo here
    result = read_json(demo / "result.json")
    if result["state"] == about["state"]:
        names = about.keys() - {"jax", "hardware"}
        assert {name: result[name] for name in names} == {name: about[name] for name in names}
    remedy = f"draw it again: python -m experiments.plot {demo.relative_to(ROOT)} --montage docs/demo.png"
    assert abs(result["test"]["accuracy"] - accuracy) < 0.02, remedy  # other machines round otherwise
