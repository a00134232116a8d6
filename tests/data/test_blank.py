"""Made-up data have the shapes, dtypes and lengths of the real ones, and appear only where they are asked for."""

from pathlib import Path

import numpy as np
import pytest

from fjdl.data import cifar, files, image_folder, mnist
from fjdl.data.blank import AbsentError, blank_data, found_or_blank
from fjdl.data.source import Splits
from fjdl.errors import DataError


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data set is found, and none is asked of the network."""

    def refuse(*_: object) -> None:
        raise AssertionError("a download was begun")

    monkeypatch.delenv("FJDL_DATA_DIR", raising=False)
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(files, "_download", refuse)


def lengths(splits: Splits) -> tuple[int, int, int]:
    return splits.train.length, splits.validation.length, splits.test.length


@pytest.mark.by_day_on_pin(1)
def test_mnist_and_cifar_have_their_official_sizes() -> None:
    with blank_data() as used:
        grey, colour = mnist.fashion_mnist(), cifar.cifar100(validation=100)
    assert used == ["fashion-mnist", "cifar100"]
    assert lengths(grey) == (55_000, 5_000, 10_000)
    assert lengths(colour) == (49_900, 100, 10_000)
    batch = grey.train.element(np.arange(4))
    assert (batch["image"].shape, batch["image"].dtype) == ((4, 28, 28, 1), np.uint8)
    assert batch["label"].dtype == np.int32
    assert colour.train.element(0)["image"].shape == (32, 32, 3)
    labels = grey.test.element(np.arange(10_000))["label"]
    assert np.bincount(labels).tolist() == [1000] * 10


@pytest.mark.by_day_on_pin(1)
def test_a_folder_of_images_has_the_layout_of_imagenet() -> None:
    with blank_data() as used:
        splits = image_folder.image_folder("nowhere", size=64)
    assert used == ["nowhere"]
    assert splits.train.length + splits.validation.length == 1_281_167
    assert splits.test.length == 50_000
    assert len(splits.classes) == 1000
    assert splits.train.streamed
    example = splits.train.element(7)
    assert (example["image"].shape, example["image"].dtype, example["label"].shape) == ((64, 64, 3), np.uint8, ())


def test_a_folder_may_have_another_number_of_images() -> None:
    with blank_data(images=(48, 8), classes=4):
        splits = image_folder.image_folder("nowhere", size=8, validation=0.25)
    assert lengths(splits) == (36, 12, 8)
    assert splits.train.element(np.arange(3))["image"].shape == (3, 8, 8, 3)


@pytest.mark.parametrize("options", [{"images": (0, 5)}, {"images": (5, 0)}, {"classes": 0}])
def test_sizes_below_one_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="at least 1"), blank_data(**options):  # type: ignore[arg-type]
        pass


def test_outside_nothing_is_made_up() -> None:
    with blank_data():
        pass
    with pytest.raises(AssertionError, match="a download was begun"):
        mnist.mnist()
    with pytest.raises(DataError, match="no such folder"):
        image_folder.image_folder("nowhere", size=8)


def test_files_that_are_there_are_read_unless_all_is_to_be_blank() -> None:
    with blank_data() as used:
        assert found_or_blank("x", lambda: "found", lambda _: "blank") == "found"
    assert used == []
    with blank_data(always=True) as used:
        assert found_or_blank("x", lambda: "found", lambda _: "blank") == "blank"
        assert found_or_blank("x", lambda: "found", lambda _: "blank") == "blank"
    assert used == ["x"]


def test_a_damaged_file_is_refused_and_an_absent_one_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    (folder / "data_batch_1.bin").write_bytes(b"short")
    with blank_data(), pytest.raises(DataError, match="must lie beside the other files"):
        cifar.cifar10()
    weights = files.RemoteFile(name="weights.th", urls=(), size=1, sha256="")
    with blank_data(), pytest.raises(AbsentError, match=r"weights\.th must be in .* got no such file"):
        files.find_or_download("trained", weights)
