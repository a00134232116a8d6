"""Data sets as pairs of pure functions: formats, verified downloads, splits, and batches by step.

One format or data set a file. A data set is a function that returns `Splits`, such as `mnist.fashion_mnist`. Those of
texts are `language.tiny_shakespeare`, `language.wikitext2`, `sentences.sst2`, `sentences.sst2_ngrams`,
`sentences.trec`, `translation.dates`, `translation.multi30k` and `translation.multi30k_byte_pairs`; the room `text`
has what they are made with. Those of images with boxes or masks are in the room `vision`, and the room `own` reads your
own files, arrays and data frames. May import floor 0 alone.

>>> from fjdl.data import batches, embedded
>>> splits = embedded.iris()
>>> splits.classes
('setosa', 'versicolor', 'virginica')
>>> indices, mask = batches.batch_indices(jax.random.key(0), 7, length=splits.train.length, batch_size=16)
>>> splits.train.element(np.asarray(indices))["features"].shape
(16, 4)
"""

import importlib
from typing import TYPE_CHECKING, Any

from fjdl.names import other_names

_FILES = (
    "batch_files", "batches", "blank", "cifar", "embedded", "faults", "files", "idx", "image_folder", "language",
    "loading", "mnist", "orders", "own", "pickled_arrays", "pickles", "sentences", "source", "splits", "text",
    "translation", "vision",
)  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return importlib.import_module(f"{__name__}.{name}") if name in _FILES else other_names(__name__)(name)


def __dir__() -> list[str]:
    return list(_FILES)
