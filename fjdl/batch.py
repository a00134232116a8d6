"""The entries of a batch that training adds to the arrays of a data set, which must not have them itself."""

from collections.abc import Mapping
from typing import Any

from fjdl.errors import UsageError

INDEX = "index"  # [batch], int32: the number of each example in its part of the data
EPOCH = "epoch"  # [batch], int32, from 0
EXAMPLE_MASK = "example_mask"  # [batch], float32: 1 for an example, 0 for one that only fills up the last batch

RESERVED = (INDEX, EPOCH, EXAMPLE_MASK)


def with_reserved(examples: Mapping[str, Any], **provided: Any) -> dict[str, Any]:
    """The arrays of some examples and the reserved entries beside them.

    Raises `UsageError` for an array of the data set under a reserved name.
    """
    for name in RESERVED:
        if name in examples:
            raise UsageError(f"an array of the data must not be called {name!r}, which training provides, rename it")
    return {**examples, **provided}
