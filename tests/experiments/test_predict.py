"""What the command prints and writes, with numbers and pixels counted by hand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import predict
from experiments.evaluate import load_run
from fjdl.boxes import Detections
from fjdl.data.embedded import digits
from fjdl.data.source import Splits, from_arrays
from fjdl.data.vision import fitted_reader, read_mask
from fjdl.model import Model
from fjdl.plots import class_colours
from fjdl.train.description import described
from fjdl.train.recipe import Recipe
from fjdl.train.summary import Summary
from fjdl.train.tasks import segmentation
from fjdl.train.trained import TrainedRun
from tests.experiments.support import DATA, STORAGE, USAGE, Command, sentence, snapshot
from tests.train.toy import recipe

CLASSES = ("background", "cat", "dog")
Opened = Callable[[Recipe], None]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Makes the command find a run of this recipe, without parameters, on the data of its splits."""

    def put(made: Recipe) -> None:
        state: Any = SimpleNamespace(params={}, stats={}, ema=())
        data = described(made.splits(), steps_per_epoch=1)
        monkeypatch.setattr(
            predict, "load_run", lambda path: TrainedRun(path=path, recipe=made, data=data, state=state)
        )

    return put


def without_parameters(function: Callable[[Any], Any], **changes: Any) -> Recipe:
    """A recipe whose network is a function of images of 8 x 8 pixels, which are read with margins."""
    part = from_arrays({"image": np.zeros((1, 8, 8, 3), np.uint8)})
    reader = fitted_reader((8, 8), fill=0)
    model = Model(lambda key, x: ({}, {}), lambda p, s, x, **_: (function(x), s))
    splits = Splits(name="pets", train=part, validation=part, test=part, classes=CLASSES, reader=reader)
    return recipe(splits=lambda: splits, model=model, inputs=lambda batch: batch["image"] / 255, **changes)


def segments() -> Recipe:
    """Red pixels are dogs, green ones cats, and what is dark is background."""
    task = segmentation(3)

    def logits(x: Any) -> Any:
        return jnp.stack([jnp.full(x.shape[:3], 0.5), x[..., 1], x[..., 0]], axis=-1)

    return without_parameters(logits, loss=task.loss, metrics=task.metrics, monitor="mean_iou")


def detector() -> Recipe:
    """It finds a dog, a cat with a low score, and nothing."""

    def found(outputs: Any) -> Detections:
        boxes = jnp.array([[[2, 2, 6, 5], [0, 0, 8, 3], [0, 0, 0, 0]]], jnp.float32)
        return Detections(
            boxes, jnp.array([[0.9, 0.25, 0.0]]), jnp.array([[2, 1, 0]]), jnp.array([[True, True, False]])
        )

    return without_parameters(
        lambda x: x[:, 0, 0], loss=lambda outputs, batch: outputs[:, 0], metrics={}, monitor="loss", mode="min",
        summary=Summary("loss", better="min", detections=found),
    )  # fmt: skip


def photograph(path: Path, *, scale: int = 1) -> Path:
    """16 x 32 squares of pixels, which become rows 2 to 5 of the example: red on the left, green on the right."""
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :8] = [255, 0, 0]
    pixels[:, 24:] = [0, 255, 0]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.repeat(scale, axis=0).repeat(scale, axis=1)).save(path)
    return path


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_classifier_tells_the_most_probable_classes(trained_run: Path, tmp_path: Path, command: Command) -> None:
    run = Path(shutil.copytree(trained_run, tmp_path / "run"))
    before = snapshot(run)
    test = digits().test
    for number in (0, 1):
        ink = test.element(number)["image"][..., 0]
        Image.fromarray((ink * (255 / 16)).round().astype(np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8 torn")
    done = command("predict", run, tmp_path / "0.png", tmp_path / "torn.jpg", tmp_path / "1.png", "--top", 3)
    assert done.status == DATA
    told = lines(done.out)
    assert [Path(each["image"]).name for each in told] == ["0.png", "1.png"]
    params = load_run(run).state.params["logits"]
    for number, each in enumerate(told):
        logits = test.element(number)["image"].reshape(64) / 16 @ params["kernel"] + params["bias"]
        expected = np.exp(logits - np.logaddexp.reduce(np.asarray(logits)))
        ranked = np.argsort(-expected)[:3]
        assert [row["class"] for row in each["classes"]] == [str(k) for k in ranked]
        np.testing.assert_allclose(
            [row["probability"] for row in each["classes"]], expected[ranked], rtol=1e-4, atol=1e-6
        )
        assert json.loads((run / "predictions" / f"{number}.json").read_text()) == each
    first, last = [line for line in done.err.splitlines() if line.startswith("fjdl: ")]
    assert first.startswith(f"fjdl: {tmp_path / 'torn.jpg'} must be a readable JPEG, PNG, WebP or BMP image, got ")
    assert last == "fjdl: 1 of what was asked about could not be read"
    assert {k: v for k, v in snapshot(run).items() if not k.startswith("predictions/")} == before


def test_masks_overlays_and_shares_have_the_size_of_the_file(opened: Opened, tmp_path: Path, command: Command) -> None:
    opened(segments())
    done = command("predict", tmp_path / "run", photograph(tmp_path / "pets.png"), "--out", tmp_path / "out")
    assert done.status == 0, done.err
    [told] = lines(done.out)
    assert told == {
        "image": str(tmp_path / "pets.png"),
        "shares": {"background": 0.5, "cat": 0.25, "dog": 0.25},
        "mask": str(tmp_path / "out" / "pets_mask.png"),
        "overlay": str(tmp_path / "out" / "pets_overlay.png"),
    }
    expected = np.repeat([[2] * 8 + [0] * 16 + [1] * 8], 16, axis=0)
    np.testing.assert_array_equal(read_mask(told["mask"], classes=3), expected)
    overlay = np.asarray(Image.open(told["overlay"]))
    colours = class_colours(3, background=0).astype(float)
    np.testing.assert_array_equal(overlay[3, 3], np.rint(0.5 * np.array([255, 0, 0]) + 0.5 * colours[2]))
    np.testing.assert_array_equal(overlay[3, 30], np.rint(0.5 * np.array([0, 255, 0]) + 0.5 * colours[1]))
    assert overlay[3, 15].tolist() == [0, 0, 0]


def test_boxes_are_told_in_pixels_of_the_file_and_drawn_there(opened: Opened, tmp_path: Path, command: Command) -> None:
    """The example has 2 rows of margin, and its pixels are 40 wide: x becomes 40 x and y becomes 40 (y - 2)."""
    opened(detector())
    image = photograph(tmp_path / "pets.png", scale=10)
    done = command("predict", tmp_path / "run", image, "--out", tmp_path / "out")
    assert done.status == 0, done.err
    [told] = lines(done.out)
    [box] = told["boxes"]
    assert (box["class"], box["box"]) == ("dog", [80, 0, 240, 120])
    assert box["score"] == 0.9
    overlay = np.asarray(Image.open(told["overlay"]))
    edge = class_colours(3)[2].tolist()
    places = ((119, 200), (80, 239), (120, 200), (80, 240))
    assert [overlay[place].tolist() == edge for place in places] == [True, True, False, False]
    done = command("predict", tmp_path / "run", image, "--out", tmp_path / "all", "--least", 0)
    [told] = lines(done.out)
    assert [row["box"] for row in told["boxes"]] == [[80, 0, 240, 120], [0, 0, 320, 40]]


def test_nothing_is_written_over_unless_asked(opened: Opened, tmp_path: Path, command: Command) -> None:
    opened(segments())
    image, home = photograph(tmp_path / "pets.png"), tmp_path / "run" / "predictions"
    assert command("predict", tmp_path / "run", image).status == 0
    before = snapshot(home)
    assert before.keys() == {"pets.json", "pets_mask.png", "pets_overlay.png"}
    refused = command("predict", tmp_path / "run", image)
    assert refused.status == USAGE
    expected = f"{home / 'pets.json'} is there already; --overwrite replaces it, --out names another folder"
    assert sentence(refused) == expected
    (home / "pets.json").write_text("mine")
    assert command("predict", tmp_path / "run", image, "--overwrite").status == 0
    assert snapshot(home) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "files must name at least one file, got none"),
        (("a/x.png", "b/x.jpg"), "files must have different names without their endings, got a/x.png and b/x.jpg"),
        (("x.png", "--top", 0), "top must be at least 1 and least must lie in [0, 1], got 0 and 0.3"),
        (("x.png", "--least", 1.5), "top must be at least 1 and least must lie in [0, 1], got 5 and 1.5"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    tmp_path: Path, command: Command, arguments: tuple[Any, ...], message: str
) -> None:
    refused = command("predict", tmp_path, *arguments)
    assert (refused.status, sentence(refused)) == (USAGE, message)


def test_data_that_do_not_say_how_files_are_read_are_refused(opened: Opened, tmp_path: Path, command: Command) -> None:
    opened(recipe())
    refused = command("predict", tmp_path, "x.png")
    assert refused.status == USAGE
    assert sentence(refused) == f"{tmp_path} reads no images: its data, some digits, do not say how"


def test_a_folder_that_cannot_be_made_is_one_sentence(opened: Opened, tmp_path: Path, command: Command) -> None:
    opened(segments())
    (tmp_path / "out").write_text("a file")
    refused = command("predict", tmp_path / "run", photograph(tmp_path / "a.png"), "--out", tmp_path / "out")
    assert (refused.status, sentence(refused)) == (STORAGE, f"{tmp_path / 'out'} cannot be made: File exists")
