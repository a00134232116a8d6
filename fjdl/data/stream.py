"""The old home of `fjdl.data.loading`."""

from typing import TYPE_CHECKING

from fjdl.names import other_names

if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
