"""Data sets that scikit-learn carries inside its package: no file, no network."""

import dataclasses
from typing import Any

import numpy as np

from fjdl.data.image_folder import square_reader
from fjdl.data.source import Source, Splits, from_arrays, subset, to_arrays
from fjdl.data.splits import stratified_split

INK = 16  # the most of a pixel of the digits


def digits(*, validation: float = 0.15, test: float = 0.2, split_seed: int = 0) -> Splits:
    """1,797 handwritten digits as uint8 [8, 8, 1] with ink from 0 to 16 (not 255), ten classes.

    Every pixel counts the inked dots of a 4 × 4 block of a 32 × 32 scan. Source: Alpaydin & Kaynak, 1998, UCI;
    their test part, as `sklearn.datasets.load_digits` carries it.
    """
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images = bunch.images.astype(np.uint8)[..., None]
    splits = _splits("digits", bunch, {"image": images}, validation=validation, test=test, split_seed=split_seed)
    return dataclasses.replace(splits, reader=square_reader(size=8, channels=1, levels=INK))


def iris(*, validation: float = 0.15, test: float = 0.2, split_seed: int = 0) -> Splits:
    """150 flowers of three species, 4 lengths and widths in centimetres (Fisher, 1936)."""
    from sklearn.datasets import load_iris

    return _table("iris", load_iris(), validation=validation, test=test, split_seed=split_seed)


def breast_cancer(*, validation: float = 0.15, test: float = 0.2, split_seed: int = 0) -> Splits:
    """569 tumours, 30 raw measurements of cell nuclei; 0 is malignant, 1 is benign (Wolberg et al., 1995, UCI)."""
    from sklearn.datasets import load_breast_cancer

    return _table("breast_cancer", load_breast_cancer(), validation=validation, test=test, split_seed=split_seed)


def wine(*, validation: float = 0.15, test: float = 0.2, split_seed: int = 0) -> Splits:
    """178 wines of three cultivars, 13 raw chemical measurements (Aeberhard & Forina, 1991, UCI)."""
    from sklearn.datasets import load_wine

    return _table("wine", load_wine(), validation=validation, test=test, split_seed=split_seed)


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


def _table(name: str, bunch: Any, *, validation: float, test: float, split_seed: int) -> Splits:
    features = bunch.data.astype(np.float32)
    return _splits(name, bunch, {"features": features}, validation=validation, test=test, split_seed=split_seed)


def _splits(
    name: str, bunch: Any, inputs: dict[str, np.ndarray], *, validation: float, test: float, split_seed: int
) -> Splits:
    labels = bunch.target.astype(np.int32)
    whole = from_arrays({**inputs, "label": labels})
    parts = stratified_split(labels, fractions=(1 - validation - test, validation, test), seed=split_seed)
    train, valid, held_out = (subset(whole, part) for part in parts)
    classes = tuple(str(target) for target in bunch.target_names)
    return Splits(name=name, train=train, validation=valid, test=held_out, classes=classes)
