"""Every reader of files has a row, and what it raises for a damaged file is a DataFormatError."""

import inspect
import pkgutil
from importlib import import_module

import pytest

import fjdl.data
from fjdl.errors import DataFormatError
from tests.fuzz.parsers.mutation import mutants
from tests.fuzz.parsers.table import PARSERS

FIRST = {"path", "paths", "data", "content", "stream"}
OTHERS = {
    "fjdl.data.files.read_at_most",  # "coco" and "xml"
    "fjdl.data.pickles.read_pickle",  # "cifar pickle" and "torch pickle" call it with what they allow
    "fjdl.data.own.parquet_files.read_parquet",  # pyarrow reads the bytes, tests/data/own damages the files
    "fjdl.data.text.byte_pairs.load_byte_pairs",  # the library tokenizers reads them
    "fjdl.data.own.tables.read_rows",  # "table" and a coder
}


@pytest.mark.parametrize("name", PARSERS)
def test_a_damaged_file_is_read_or_is_a_data_format_error(name):
    parser = PARSERS[name]
    for content in parser.seeds:
        parser(content)
    for content in mutants(parser.seeds, 50):
        try:
            parser(content)
        except DataFormatError as error:
            assert f"{error.what} must {error.expected}" in str(error)  # noqa: PT017


def test_every_reader_of_files_has_a_row():
    modules = [import_module(each.name) for each in pkgutil.walk_packages(fjdl.data.__path__, "fjdl.data.")]
    readers = {f"{module.__name__}.{name}" for module in modules for name, value in vars(module).items()
               if _reads(name, value) and value.__module__ == module.__name__}  # fmt: skip
    known = {f"{each.__module__}.{each.__qualname__}" for parser in PARSERS.values() for each in parser.readers}
    assert readers <= known | OTHERS
    assert readers >= OTHERS


def _reads(name: str, value: object) -> bool:
    named = name == "decode" or name.startswith(("read_", "load_", "parse_", "decode_"))
    return named and inspect.isfunction(value) and next(iter(inspect.signature(value).parameters)) in FIRST
