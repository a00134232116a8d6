"""The names that training adds to a batch, and data sets with masks of their own."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.dry_run import dry_run
from fjdl import metrics, optim
from fjdl.augment import each_example, random_crop_sample, random_mirror_sample
from fjdl.batch import BEGINS, RESERVED, alone, assembled, of_batch
from fjdl.data.loading import load_batches_in_order
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.errors import UsageError
from fjdl.models import LogisticRegression
from fjdl.train import Recipe, fit, learning_rate_range
from fjdl.train.json_files import read_jsonl
from fjdl.train.prepare import check, prepare
from tests.support import ROOT
from tests.train.toy import devices, quick, recipe, source, splits

COUNT = 21  # not a multiple of the batch of 8


def scenes(*, streamed: bool) -> Source:
    """Random images whose mask is where they are bright, and whose first box holds the only pixel of 2."""
    rng = np.random.default_rng(0)
    images = rng.random((COUNT, 8, 8, 1), np.float32)
    rows, columns = rng.integers(2, 6, (2, COUNT))
    images[np.arange(COUNT), rows, columns] = 2.0
    corners = np.stack([columns, rows, columns + 1, rows + 1], axis=-1).astype(np.float32)
    arrays = {"image": images, "mask": (images[..., 0] > 0.5).astype(np.int32), "boxes": corners[:, None]}
    return from_arrays(arrays)._replace(streamed=streamed)


def consistent(outputs: Any, batch: Any) -> Any:
    """0 for each example whose mask and box still belong to its image, else NaN, and some outputs to learn from."""
    image = batch["image"][..., 0]
    same_mask = jnp.all((image > 0.5) == (batch["mask"] == 1), axis=(1, 2))
    x, y, right, bottom = jnp.moveaxis(batch["boxes"][:, 0], -1, 0).astype(jnp.int32)
    in_box = jax.vmap(lambda image, y, x: image[y, x])(image, y, x) == 2
    good = same_mask & in_box & (right == x + 1) & (bottom == y + 1)
    return jnp.where(good, 0.0, jnp.nan) + jnp.square(outputs[:, 0])


def bright(outputs: Any, batch: Any) -> tuple[Any]:
    del outputs
    return (batch["mask"].astype(jnp.float32).mean(axis=(1, 2)),)


def segmentation(data: Source) -> Recipe:
    parts = Splits(name="scenes", train=data, validation=data, test=data, classes=("dark", "bright"))
    return Recipe(
        splits=lambda: parts,
        model=quick(LogisticRegression(1)),
        inputs=lambda batch: batch["image"],
        loss=consistent,
        metrics={"bright": metrics.on(metrics.mean(), bright)},
        augment=each_example(random_mirror_sample, lambda key, s: random_crop_sample(key, s, size=(8, 8), padding=1)),
        optimizer=lambda steps: optim.sgd(0.01),
        epochs=2,
        batch_size=8,
        monitor="loss",
        mode="min",
    )


@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
def test_masks_and_boxes_of_the_data_move_with_the_image_inside_training(streamed: bool, tmp_path: Path) -> None:
    data = scenes(streamed=streamed)
    made = segmentation(data)
    fit(made, tmp_path, devices=devices())
    records = read_jsonl(tmp_path / "metrics.jsonl")
    assert [record["train_bad"] for record in records] == [0, 0]
    expected = data.element(np.arange(COUNT))["mask"].mean()
    np.testing.assert_allclose([record["validation_bright"] for record in records], expected, rtol=1e-6)
    lost = dataclasses.replace(made, augment=lambda key, batch: {**batch, "mask": 1 - batch["mask"]})
    with pytest.raises(Exception, match="loss not finite"):
        fit(dataclasses.replace(lost, max_bad_steps=3), tmp_path / "lost", devices=devices())


@pytest.mark.by_day_on_pin(1)
def test_examples_that_fill_up_a_batch_do_not_count_though_an_augmentation_drops_the_mask(tmp_path: Path) -> None:
    """Each value is 1 for an example seen for the first time in its epoch and NaN otherwise."""
    seen: dict[str, Any] = {}

    def augment(key: Any, batch: Any) -> Any:
        seen.update(batch)
        return {"image": batch["image"], "label": batch["label"]}

    def loss(outputs: Any, batch: Any) -> Any:
        return jnp.where(batch["example_mask"] > 0, 1.0, jnp.nan) + 0 * outputs[:, 0]

    made = recipe(augment=augment, loss=loss, epochs=1)
    fit(made, tmp_path, devices=devices())
    (record,) = read_jsonl(tmp_path / "metrics.jsonl")
    assert (record["train_loss"], record["train_bad"], record["validation_loss"]) == (1.0, 0, 1.0)
    assert set(RESERVED) - {BEGINS} <= seen.keys()  # that of sequences which span batches is only there with them


@pytest.mark.parametrize("name", RESERVED)
@pytest.mark.parametrize("streamed", [False, True], ids=["resident", "streamed"])
def test_an_array_of_the_data_under_a_reserved_name_is_refused(name: str, streamed: bool, tmp_path: Path) -> None:
    arrays = source(0, 100).element(np.arange(100))
    own = from_arrays({**arrays, name: np.arange(100, dtype=np.int32)})._replace(streamed=streamed)
    data = splits(own)
    made = recipe(splits=lambda: data)
    message = f"^an array of the data must not be called '{name}', which training provides, rename it$"
    with pytest.raises(UsageError, match=message):
        fit(made, tmp_path, devices=devices())
    with pytest.raises(UsageError, match=message):
        next(load_batches_in_order(own, batch_size=4))
    with pytest.raises(UsageError, match=message):
        dry_run(made)
    if not streamed:
        with pytest.raises(UsageError, match=message):
            learning_rate_range(made, optim.sgd, devices=devices())


def test_reserved_entries_stand_beside_the_arrays() -> None:
    indices, mask = np.array([4, 7], np.int32), np.ones(2, np.float32)
    for make in (np.asarray, jnp.asarray):
        batch = assembled({"mask": 1}, make(indices), mask, epoch=3)
        assert (batch["mask"], batch["index"].tolist(), batch["epoch"].tolist()) == (1, [4, 7], [3, 3])
        assert batch["epoch"].dtype == np.int32
        assert batch["example_mask"] is mask
    one = alone({"image": np.zeros((8, 8), np.uint8)})
    shapes = {name: (array.shape, array.dtype.name) for name, array in one.items()}
    assert shapes == {
        "image": ((1, 8, 8), "uint8"), "index": ((1,), "int32"), "epoch": ((1,), "int32"),
        "example_mask": ((1,), "float32"),
    }  # fmt: skip


def test_a_key_that_a_batch_does_not_have_is_answered_with_those_that_it_has() -> None:
    batch = {"label": 1, "epoch": 0, "image": 2}
    assert of_batch("loss", lambda outputs, batch: outputs + batch["image"], 3, batch) == 5
    message = "^inputs must use the keys of a batch, 'image', 'label', 'epoch', got 'imgs'$"
    with pytest.raises(UsageError, match=message) as caught:
        of_batch("inputs", lambda batch: batch["imgs"], batch)
    assert caught.value.exit_status == 2
    with pytest.raises(KeyError, match=r"^'logits'$"):
        of_batch("loss", lambda outputs, batch: outputs["logits"] + batch["image"], {"logit": 3}, batch)
    with pytest.raises(KeyError, match=r"^'imgs'$"):
        of_batch("inputs", lambda batch: {**batch}["imgs"], batch)


def test_every_call_of_a_recipes_functions_of_a_batch_goes_through_the_one_that_explains_wrong_keys() -> None:
    files = [path for folder in ("fjdl/train", "experiments") for path in (ROOT / folder).rglob("*.py")]
    called = {path.name: re.findall(r"\.(?:inputs|loss|augment)\([^)]", path.read_text()) for path in files}
    assert {name: calls for name, calls in called.items() if calls} == {}


def unknown(*args: Any) -> Any:
    return args[-1]["imgs"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("inputs", {"inputs": unknown}),
        ("loss", {"loss": unknown}),
        ("augment", {"augment": unknown}),
        ("metric 'mean'", {"metrics": {"mean": metrics.on(metrics.mean(), unknown)}, "monitor": "loss", "mode": "min"}),
    ],
)
def test_every_function_of_a_recipe_that_reads_a_batch_is_named_with_the_keys_there(name: str, changes: Any) -> None:
    with pytest.raises(UsageError, match=f"^{name} must use the keys of a batch, 'image', 'label'.*, got 'imgs'"):
        check(prepare(recipe(**changes), devices=devices()))
