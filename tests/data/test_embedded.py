import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from fjdl.data.embedded import breast_cancer, digits, iris, standardize, wine
from fjdl.data.source import Source, Splits, from_arrays, to_arrays
from fjdl.errors import DataError

TABLES = [(iris, datasets.load_iris), (breast_cancer, datasets.load_breast_cancer), (wine, datasets.load_wine)]


def parts(splits: Splits) -> tuple[Source, Source, Source]:
    return splits.train, splits.validation, splits.test


def rows(arrays: np.ndarray, labels: np.ndarray) -> list[tuple[float, ...]]:
    return sorted((*row.reshape(-1).tolist(), label) for row, label in zip(arrays, labels, strict=True))


@pytest.mark.parametrize(("build", "load"), TABLES)
def test_the_three_parts_together_are_scikit_learns_table(build, load):
    bunch = load()
    arrays = [to_arrays(part) for part in parts(build())]
    features = np.concatenate([part["features"] for part in arrays])
    labels = np.concatenate([part["label"] for part in arrays])
    assert (features.dtype, labels.dtype) == (np.float32, np.int32)
    assert rows(features, labels) == rows(bunch.data.astype(np.float32), bunch.target)
    assert build().classes == tuple(bunch.target_names)


def test_digits_are_the_scans_with_ink_from_0_to_16():
    splits = digits()
    bunch: Any = datasets.load_digits()
    arrays = [to_arrays(part) for part in parts(splits)]
    images = np.concatenate([part["image"] for part in arrays])
    labels = np.concatenate([part["label"] for part in arrays])
    assert (images.shape, images.dtype, labels.dtype) == ((1797, 8, 8, 1), np.uint8, np.int32)
    assert (images.min(), images.max()) == (0, 16)
    assert rows(images, labels) == rows(bunch.images, bunch.target)
    assert splits.classes == tuple("0123456789")
    assert splits.train.element(0)["image"].shape == (8, 8, 1)


@pytest.mark.parametrize("build", [digits, iris, breast_cancer, wine])
def test_every_part_has_the_class_proportions_of_the_whole(build):
    labels = [to_arrays(part)["label"] for part in parts(build())]
    whole = np.bincount(np.concatenate(labels))
    for part, fraction in zip(labels, (0.65, 0.15, 0.2), strict=True):
        assert np.all(np.abs(np.bincount(part) - fraction * whole) < 1)


def test_files_that_scikit_learn_lacks_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"datasets/data/iris.csv must be there, as scikit-learn has it: install"):
        iris()


def test_the_split_depends_on_its_own_seed_only():
    first, again, other = (to_arrays(iris(split_seed=seed).train)["features"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_fractions_are_those_asked_for_and_must_leave_a_train_part():
    assert [part.length for part in parts(iris(validation=0.1, test=0.1))] == [120, 15, 15]
    with pytest.raises(ValueError, match="fractions must be positive"):
        iris(validation=0.5, test=0.5)


@pytest.mark.parametrize("build", [iris, breast_cancer, wine])
def test_standardize_equals_scikit_learns_scaler_fitted_on_the_train_part(build):
    splits = build()
    scaler = StandardScaler().fit(to_arrays(splits.train)["features"].astype(np.float64))
    for raw, scaled in zip(parts(splits), parts(standardize(splits)), strict=True):
        expected: Any = scaler.transform(to_arrays(raw)["features"].astype(np.float64))
        np.testing.assert_allclose(to_arrays(scaled)["features"], expected, rtol=2e-6, atol=2e-6)
        np.testing.assert_array_equal(to_arrays(scaled)["label"], to_arrays(raw)["label"])


def test_standardize_never_looks_at_validation_or_test():
    train = {"features": np.array([[0.0, 0.1], [2.0, 0.1], [4.0, 0.1]], np.float32), "label": np.zeros(3, np.int32)}
    outlier = {"features": np.array([[1e6, 5.1]], np.float32), "label": np.zeros(1, np.int32)}
    splits = Splits(
        name="toy",
        train=from_arrays(train),
        validation=from_arrays(outlier),
        test=from_arrays(outlier),
        classes=("only",),
    )
    scaled = standardize(splits)
    np.testing.assert_allclose(
        to_arrays(scaled.train)["features"], [[-(1.5**0.5), 0], [0, 0], [1.5**0.5, 0]], atol=1e-6
    )
    np.testing.assert_allclose(to_arrays(scaled.test)["features"][0, 1], 5.0, rtol=1e-6)


def test_reading_does_not_import_scikit_learn():
    code = "import sys; from fjdl.data import embedded, mnist; embedded.digits(); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
