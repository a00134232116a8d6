"""What a network costs and sees, by formula: nothing is built or run.

May import floor 0 alone.

>>> from functools import partial
>>> from fjdl import analysis
>>> layers = analysis.stack(
...     (28, 28, 1), [partial(analysis.conv_layer, features=6, kernel=5, padding=2), analysis.flatten_layer]
... )
>>> analysis.total(layers).parameters, analysis.total(layers).macs, layers[-1].output
(156, 117600, (4704,))
"""

from fjdl.analysis.chips import Chip, chip_of
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
    "Chip", "Layer", "ReceptiveField", "Window", "activation_memory", "chip_of", "conv_layer", "conv_output_size",
    "dense_layer", "flatten_layer", "format_comparison", "format_table", "global_pool_layer", "inference_memory",
    "norm_layer", "parameter_memory", "pool_layer", "receptive_field", "stack", "total", "training_memory",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
