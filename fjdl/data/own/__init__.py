"""Your own data as `Splits`, each by one function: tables, arrays, images, and examples that a function makes.

`table` reads CSV, TSV, Parquet and data frames, `arrays` reads `.npz` and arrays in memory, `parquet_images` the images
of Hugging Face's data sets, `image_folder` a folder for each class, and `examples` takes what your own function gives.
Each draws parts that are not given by a seed, and refuses what is wrong in one sentence with its file and place. May
import floor 0 and `fjdl.data`.

>>> from fjdl.data import own
>>> splits = own.table({"width": [1.0, 2.0] * 10, "kind": ["small", "large"] * 10}, label="kind")
>>> splits.classes, splits.train.length
(('large', 'small'), 14)
"""

from fjdl.data.image_folder import image_folder
from fjdl.data.own.arrays import arrays
from fjdl.data.own.coding import Categories, Numbers, TableCoder
from fjdl.data.own.examples import examples
from fjdl.data.own.npz_files import read_npz
from fjdl.data.own.parquet_files import read_parquet
from fjdl.data.own.parquet_images import parquet_images
from fjdl.data.own.tables import Further, TableSplits, read_rows, table

__all__ = [
    "Categories", "Further", "Numbers", "TableCoder", "TableSplits", "arrays", "examples", "image_folder",
    "parquet_images", "read_npz", "read_parquet", "read_rows", "table",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
