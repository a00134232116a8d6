"""What a network costs, by formula."""

from fjdl.analysis.counts import (
    Layer,
    conv_layer,
    conv_output_size,
    dense_layer,
    flatten_layer,
    format_table,
    pool_layer,
    stack,
    total,
)

__all__ = [
    "Layer",
    "conv_layer",
    "conv_output_size",
    "dense_layer",
    "flatten_layer",
    "format_table",
    "pool_layer",
    "stack",
    "total",
]
