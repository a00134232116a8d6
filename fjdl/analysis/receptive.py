"""Receptive fields: which input positions an output can see."""

from collections.abc import Sequence
from typing import NamedTuple

from fjdl.typing import typed


class Window(NamedTuple):
    """A convolution or pool along one axis."""

    size: int
    stride: int = 1
    padding: int = 0  # before the first position
    dilation: int = 1


class ReceptiveField(NamedTuple):
    """What the outputs of a chain of windows see of its input, along one axis."""

    size: int  # input positions that one output depends on
    stride: int  # input positions from one output to the next
    start: int  # first position that output 0 sees; negative where that is padding


@typed
def receptive_field(windows: Sequence[Window]) -> ReceptiveField:
    """The receptive field after windows in a row: size 1 + Σ dilation (size − 1) · (product of the strides before).

    No window at all sees one position. Araujo, Norris & Sim 2019, Computing receptive fields of convolutional neural
    networks, doi:10.23915/distill.00021. Raises `ValueError` for sizes, strides and dilations below 1 and for negative
    padding.

    >>> receptive_field([Window(size=3), Window(size=3, stride=2)]).size
    5
    """
    size, stride, start = 1, 1, 0
    for window in windows:
        if min(window.size, window.stride, window.dilation) < 1 or window.padding < 0:
            raise ValueError(
                f"size, stride and dilation must be at least 1 and padding must not be negative, got {window}"
            )
        size += window.dilation * (window.size - 1) * stride
        start -= window.padding * stride
        stride *= window.stride
    return ReceptiveField(size, stride, start)
