"""Data sets that scikit-learn carries inside its package: no download, no network.

Its files are read as they lie there. To import the package would take longer than all else before a small training.
"""

import dataclasses
import gzip
import importlib.util
from pathlib import Path

import numpy as np

from fjdl.data.image_folder import square_reader
from fjdl.data.source import Source, Splits, from_arrays, subset, to_arrays
from fjdl.data.splits import stratified_split
from fjdl.errors import DataError

INK = 16  # the most of a pixel of the digits


def digits(*, validation: float = 0.15, test: float = 0.2, split_seed: int = 0) -> Splits:
    """1,797 handwritten digits as uint8 [8, 8, 1] with ink from 0 to 16 (not 255), ten classes.

    Every pixel counts the inked dots of a 4 × 4 block of a 32 × 32 scan. Source: Alpaydin & Kaynak, 1998, UCI;
    their test part, as `sklearn.datasets.load_digits` carries it.
    """
    table = _numbers("digits.csv.gz")
    images, labels = table[:, :-1].reshape(-1, 8, 8, 1).astype(np.uint8), table[:, -1]
    names = tuple(str(digit) for digit in range(10))
    splits = _splits("digits", names, {"image": images}, labels, (validation, test), split_seed)
    return dataclasses.replace(splits, reader=square_reader(size=8, channels=1, levels=INK))


def iris(*, validation: float = 0.15, test: float = 0.2, split_seed: int = 0) -> Splits:
    """150 flowers of three species, 4 lengths and widths in centimetres (Fisher, 1936)."""
    return _table("iris", "iris.csv", (validation, test), split_seed)


def breast_cancer(*, validation: float = 0.15, test: float = 0.2, split_seed: int = 0) -> Splits:
    """569 tumours, 30 raw measurements of cell nuclei; 0 is malignant, 1 is benign (Wolberg et al., 1995, UCI)."""
    return _table("breast_cancer", "breast_cancer.csv", (validation, test), split_seed)


def wine(*, validation: float = 0.15, test: float = 0.2, split_seed: int = 0) -> Splits:
    """178 wines of three cultivars, 13 raw chemical measurements (Aeberhard & Forina, 1991, UCI)."""
    return _table("wine", "wine_data.csv", (validation, test), split_seed)


def standardize(splits: Splits) -> Splits:
    """The same table with each feature at mean 0 and standard deviation 1 over the train part.

    `(x - mean) / std` with the population moments of the train part alone, in float64, returned in float32; a feature
    that is constant there is divided by 1. Equals scikit-learn's `StandardScaler` fitted on the train part, and
    `fjdl.functional.scaling.fit_standard` in float64.
    """
    train = to_arrays(splits.train)["features"].astype(np.float64)
    mean = train.mean(axis=0)
    constant = train.min(axis=0) == train.max(axis=0)
    scale = np.where(constant, 1.0, train.std(axis=0))

    def scaled(source: Source) -> Source:
        arrays = to_arrays(source)
        return from_arrays({**arrays, "features": ((arrays["features"] - mean) / scale).astype(np.float32)})

    return dataclasses.replace(
        splits, train=scaled(splits.train), validation=scaled(splits.validation), test=scaled(splits.test)
    )


def _table(name: str, file: str, shares: tuple[float, float], split_seed: int) -> Splits:
    """Of a file whose first line names the number of rows, of columns, and the classes."""
    _, _, *classes = _text(file).partition("\n")[0].split(",")
    table = _numbers(file, skiprows=1)
    return _splits(
        name, tuple(classes), {"features": table[:, :-1].astype(np.float32)}, table[:, -1], shares, split_seed
    )


def _splits(
    name: str,
    classes: tuple[str, ...],
    inputs: dict[str, np.ndarray],
    labels: np.ndarray,
    shares: tuple[float, float],
    split_seed: int,
) -> Splits:
    """Parts of which validation and test have these shares."""
    labels = labels.astype(np.int32)
    whole = from_arrays({**inputs, "label": labels})
    parts = stratified_split(labels, fractions=(1 - shares[0] - shares[1], *shares), seed=split_seed)
    train, valid, held_out = (subset(whole, part) for part in parts)
    return Splits(name=name, train=train, validation=valid, test=held_out, classes=classes)


def _numbers(file: str, *, skiprows: int = 0) -> np.ndarray:
    return np.loadtxt(_text(file).splitlines(), delimiter=",", skiprows=skiprows)


def _text(file: str) -> str:
    spec = importlib.util.find_spec("sklearn")
    folders = spec.submodule_search_locations if spec is not None else None
    path = Path(folders[0] if folders else "sklearn", "datasets", "data", file)
    if not path.is_file():
        raise DataError(f"{path} must be there, as scikit-learn has it: install scikit-learn again")
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
