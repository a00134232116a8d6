"""What a network costs and sees, by formula: nothing is built or run."""

from fjdl.analysis.counts import (
    Layer,
    conv_layer,
    conv_output_size,
    dense_layer,
    flatten_layer,
    global_pool_layer,
    norm_layer,
    pool_layer,
    stack,
    total,
)
from fjdl.analysis.memory import activation_memory, inference_memory, parameter_memory, training_memory
from fjdl.analysis.receptive import ReceptiveField, Window, receptive_field
from fjdl.analysis.tables import format_comparison, format_table

__all__ = [
    "Layer", "ReceptiveField", "Window", "activation_memory", "conv_layer", "conv_output_size", "dense_layer",
    "flatten_layer", "format_comparison", "format_table", "global_pool_layer", "inference_memory", "norm_layer",
    "parameter_memory", "pool_layer", "receptive_field", "stack", "total", "training_memory",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
