"""Files of Parquet, read by pyarrow where it is installed: `pip install 'fjdl[parquet]'`."""

from pathlib import Path
from typing import Any

from fjdl.data.blank import absent
from fjdl.errors import DataFormatError, UsageError


def read_parquet(path: Path | str) -> Any:
    """The table of a file of Parquet, as pyarrow has it.

    Raises `UsageError` where pyarrow is not installed, and `DataError` for a file that it cannot read or without a row.
    """
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UsageError("Parquet is read by pyarrow, which is not installed: pip install 'fjdl[parquet]'") from None
    if not Path(path).is_file():
        raise absent(f"{path} must be a file, got no such file")
    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (ArrowException, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataFormatError(path, None, "", "be a readable file of Parquet", f"{reason[:200]}") from error
    if not table.num_rows or not table.num_columns:
        raise DataFormatError(path, None, "the table", "have a column and a row", "none")
    return table
