"""Every config is documented, builds a recipe from keyword arguments alone, trains, and states its costs correctly."""

import ast
import dataclasses
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from experiments.command import load_config
from fjdl import transfer
from fjdl.analysis import total
from fjdl.data import cifar, embedded, files, image_folder, language, mnist, sentences, translation
from fjdl.data.blank import blank_data
from fjdl.data.orders import lanes, shuffled
from fjdl.data.source import Source, Splits, from_arrays, subset, to_arrays
from fjdl.data.vision import bccd, camvid
from fjdl.errors import UsageError
from fjdl.models import CIFAR_RESNET_AKAMASTER, cifar_resnet20
from fjdl.nn import pure
from fjdl.train.mesh import make_mesh
from fjdl.train.program import Program, compile_program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.tree import count
from tests.support import ROOT

CONFIGS = sorted((ROOT / "configs").glob("*.py"))
each_config = pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
LARGE = ("imagenet_resnet50",)  # traced at night
TRAINED = ("iris_mlp", "digits_lenet")  # by day; the others compile for seconds


def parts(path: Path) -> frozenset[str]:
    """The tasks and what else of networks the config imports; its own name where it imports none."""
    imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    found = (node.names for node in imports if node.module in ("fjdl.models", "fjdl.train.tasks"))
    return frozenset(name.name for names in found for name in names) or frozenset([path.stem])


def traced_by_day() -> list[str]:
    """Names of configs, in order, each of which has a task or a part of a network that none before it has."""
    seen: set[str] = set()
    chosen = []
    for path in CONFIGS:
        if parts(path) - seen and path.stem not in LARGE:
            chosen.append(path.stem)
            seen |= parts(path)
    return chosen


def at_night_but(names: Iterable[str]) -> pytest.MarkDecorator:
    rows = [pytest.param(path, marks=[pytest.mark.slow] * (path.stem not in names), id=path.stem) for path in CONFIGS]
    return pytest.mark.parametrize("path", rows)


each_trained_config, each_traced_config = at_night_but(TRAINED), at_night_but(traced_by_day())


OUTPUTS = {  # of models whose last layer gives no score of each class
    "bccd_ssd": (16,),
    "camvid_unet": (16 * 11,),  # the logits of 4 x 4 pixels
    "digit_scenes_localizer": (4,),
    "isbi_membrane_unet": (16 * 2,),
    "omniglot_retrieval": (64,),
    "multi30k_gru": (4000,),
    "multi30k_transformer": (8000,),
    "wikitext2_lstm": (8,),
    "wikitext2_word_vectors": (6,),
}
OPTIONS: dict[str, dict[str, Any]] = {  # that make a test quick
    "bccd_ssd": {"size": (64, 96), "widths": (8, 8, 8, 8, 8)},
    "camvid_unet": {"widths": (8, 8, 8)},
    "digit_scenes_localizer": {"copies": 1},
    "imagenet_resnet50": {"size": 32, "classes": 10},
    "multi30k_transformer": {"warmup_steps": 10, "depth": 1},
    "wikitext2_awd_lstm": {"steps": 8, "features": 32, "hidden": 48},
    "wikitext2_lstm": {"steps": 8, "hidden": 64, "cutoffs": (40, 80)},
}


def noise(name: str, shape: tuple[int, int, int]) -> Splits:
    """Sixteen pictures of this shape; nothing is downloaded."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, *shape), dtype=np.uint8)
    source = from_arrays({"image": images, "label": np.arange(16, dtype=np.int32) % 10})
    return Splits(name=name, train=source, validation=source, test=source, classes=mnist.DIGITS)


def word_pairs() -> Splits:
    """Sixteen pairs of eight words."""
    words = np.arange(16, dtype=np.int32) % 8
    source = from_arrays({"center": words, "context": (words + 1) % 8})
    return Splits(name="words", train=source, validation=source, test=source, classes=tuple("abcdefgh"))


def few_words() -> str:
    """A text in which every word of WikiText-2 stands once or twice."""
    names = ["<unk>", *(f"w{number}" for number in range(language.WIKITEXT2_TYPES - 2))]
    return " ".join(np.resize(names, 40_000).tolist()) + "\n"


def captions(*, size: int, steps: int) -> Splits:
    """Sixteen pairs of sentences of numbers."""
    rng = np.random.default_rng(0)
    lengths = {f"{side}_length": rng.integers(3, 9, 16).astype(np.int32) for side in ("source", "target")}
    rows = {side: rng.integers(4, size, (16, steps)).astype(np.int32) for side in ("source", "target")}
    source = from_arrays(rows | lengths)
    return Splits(name="captions", train=source, validation=source, test=source, classes=())


def cells(*, size: tuple[int, int], **_: Any) -> Splits:
    """Sixteen pictures with three boxes, a tenth, a quarter and two fifths of their height large."""
    rng = np.random.default_rng(0)
    sides = np.array([0.1, 0.25, 0.4])[:, None] * size[0]
    low = rng.uniform(0, 0.6 * size[0], (16, 3, 2))
    arrays = {
        "image": rng.integers(0, 256, (16, *size, 3), dtype=np.uint8),
        "boxes": np.concatenate([low, low + sides], axis=-1).astype(np.float32),
        "labels": np.tile(np.arange(3, dtype=np.int32), (16, 1)),
        "valid": np.ones((16, 3), bool),
        "difficult": np.zeros((16, 3), bool),
    }
    source = from_arrays(arrays)
    return Splits(name="cells", train=source, validation=source, test=source, classes=bccd.CLASSES)


@pytest.fixture
def small_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Downloaded data sets become noise; configs that are loaded from now on see it."""
    for name in ("mnist", "fashion_mnist"):
        monkeypatch.setattr(mnist, name, lambda name=name: noise(name, (28, 28, 1)))
    monkeypatch.setattr(cifar, "cifar10", lambda **_: noise("cifar10", (32, 32, 3)))
    monkeypatch.setattr(language, "wikitext2_pairs", lambda **_: word_pairs())
    monkeypatch.setattr(image_folder, "image_folder", lambda *_, size, **__: noise("folder", (size, size, 3)))
    monkeypatch.setattr(files, "find_or_download", lambda folder, file: Path(folder) / file.name)
    monkeypatch.setattr(transfer, "load_torch_pickle", lambda path, strip: {"state_dict": trained_weights()})
    monkeypatch.setattr(translation, "multi30k_byte_pairs", captions)
    monkeypatch.setattr(bccd, "bccd", cells)
    monkeypatch.setattr(camvid, "LENGTHS", (16, 16, 16))
    monkeypatch.setattr(language, "_words", lambda _: (few_words(),) * 3)
    made_up = sentences._made_up
    monkeypatch.setattr(sentences, "_made_up", lambda lengths, *rest: made_up([min(n, 700) for n in lengths], *rest))
    with blank_data(always=True):
        yield


@cache
def trained_weights() -> dict[str, np.ndarray]:
    """Numbers in the place of the published weights of ResNet-20."""
    model, rng = pure(cifar_resnet20(classes=10)), np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    params, stats = jax.tree.map(lambda s: rng.uniform(0.01, 0.1, s.shape).astype(np.float32), shapes)
    return transfer.to_torch(params, stats, CIFAR_RESNET_AKAMASTER)


@pytest.fixture(scope="module", autouse=True)
def quick_compilation() -> Iterator[None]:
    """What is compiled here runs once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any access to data fails."""

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("the data were touched")

    for module in (mnist, cifar, image_folder, embedded, files, language, sentences, translation, bccd):
        for name, value in vars(module).items():
            if inspect.isfunction(value):
                monkeypatch.setattr(module, name, refuse)


@each_config
def test_a_config_says_what_it_is(path: Path) -> None:
    header = ast.get_docstring(ast.parse(path.read_text()))
    assert header is not None
    assert header.splitlines()[0].endswith(".")
    assert (load_config(path).__doc__ or "").strip().endswith(".")


@each_config
def test_arguments_are_keywords_with_types_and_defaults_and_the_seed_comes_first(path: Path) -> None:
    signature = inspect.signature(load_config(path))
    assert next(iter(signature.parameters)) == "seed"
    for parameter in signature.parameters.values():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.annotation is not parameter.empty
        assert parameter.default is not parameter.empty
    assert signature.return_annotation is Recipe


@each_config
def test_a_recipe_is_built_without_touching_data(path: Path, no_data: None) -> None:
    build = load_config(path)
    recipe = build()
    assert isinstance(recipe, Recipe)
    assert (recipe.seed, recipe.precision) == (0, "float32")
    assert build(seed=7).seed == 7
    assert build(precision="bfloat16").dtype == jax.numpy.bfloat16
    assert build(precision="tensorfloat32").precision == "tensorfloat32"


@each_trained_config
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_four_steps_of_training_change_finite_float32_parameters(path: Path, precision: str, small_data: None) -> None:
    _, program, train = shrunk(load_config(path)(precision=precision, **OPTIONS.get(path.stem, {})))
    state = program.init()
    before = jax.device_get(state.params)
    arrays = place(train, one_device())
    for _ in range(2):  # what lies behind a scale of zero moves in the second
        state, report = program.epoch(state, arrays)
        assert int(report.bad) == 0
    assert int(state.step) == 4
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(state.params), strict=True):
        assert new.dtype == np.float32
        assert np.isfinite(new).all()
        assert new.shape == old.shape
        assert (np.asarray(new) != old).any()


@each_traced_config
def test_a_step_and_an_evaluation_are_traced_and_the_table_of_layers_counts(path: Path, small_data: None) -> None:
    recipe, program, train = shrunk(load_config(path)(**OPTIONS.get(path.stem, {})))
    state = jax.eval_shape(program.init)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {np.dtype(np.float32)}
    stepped, report = jax.eval_shape(program.epoch, state, place(train, one_device()))
    assert jax.tree.map(form, stepped) == jax.tree.map(form, state)
    assert report.bad.shape == ()
    results = jax.eval_shape(program.evaluate, state, to_arrays(train))
    assert results["loss"].shape == results[recipe.monitor].shape == ()
    layers = total(recipe.model.layers(recipe.seen(recipe.splits().train.element(0))))
    assert layers.parameters == count(state.params)
    assert layers.output[-1:] == OUTPUTS.get(path.stem, (len(recipe.splits().classes),))
    assert layers.macs > 0


def form(leaf: Any) -> Any:
    return leaf.shape, leaf.dtype


def shrunk(recipe: Recipe) -> tuple[Recipe, Program, Source]:
    """The recipe on sixteen examples in batches of eight, two steps an epoch; enough epochs for any warm-up."""
    whole = recipe.splits().train
    train = subset(whole, np.arange(16) * max(1, min(whole.length // 16, 10)))  # some of the same class, where in order
    recipe = dataclasses.replace(recipe, batch_size=8, epochs=200)
    if recipe.order.carries:
        recipe = dataclasses.replace(recipe, order=lanes(8), evaluation_order=lanes(8))
    try:
        recipe.order.steps(16, 8)
    except UsageError:  # it knows the lengths or labels of all examples
        recipe = dataclasses.replace(recipe, order=shuffled)
    return recipe, compile_program(recipe, one_device(), examples=16, example=train.element(0)), train


def one_device() -> Mesh:
    return make_mesh(jax.devices()[:1])
