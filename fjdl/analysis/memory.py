"""Memory of parameters and activations, in bytes, by formula.

Activations are counted as the output of every layer, each stored once; what a compiler fuses away or needs as scratch
space is not in a formula, and `jax.stages.Compiled.memory_analysis` tells it for one program.
"""

import itertools
import math
from collections.abc import Sequence

from fjdl.analysis.counts import Layer
from fjdl.checks import at_least, within
from fjdl.typing import typed


@typed
def parameter_memory(layers: Sequence[Layer], *, bytes_each: int = 4) -> int:
    """Bytes of all parameters: 4 each in float32, 2 in bfloat16, 1 in int8."""
    at_least(1, bytes_each=bytes_each)
    return bytes_each * sum(layer.parameters for layer in layers)


@typed
def activation_memory(layers: Sequence[Layer], *, batch_size: int = 1, bytes_each: int = 4) -> int:
    """Bytes of the outputs of all layers, which training keeps for the backward pass."""
    at_least(1, batch_size=batch_size, bytes_each=bytes_each)
    return batch_size * bytes_each * sum(math.prod(layer.output) for layer in layers)


@typed
def training_memory(
    layers: Sequence[Layer], *, batch_size: int = 1, activation_bytes: int = 4, optimizer_slots: int = 2
) -> int:
    """Bytes of float32 parameters, their gradients and the optimizer's slots, and of all activations.

    An optimizer has 0 slots (gradient descent), 1 (momentum) or 2 (Adam); activations take 4 bytes each in float32 and
    2 in bfloat16.
    """
    within("[0, inf]", optimizer_slots=optimizer_slots)
    activations = activation_memory(layers, batch_size=batch_size, bytes_each=activation_bytes)
    return (2 + optimizer_slots) * parameter_memory(layers) + activations


@typed
def inference_memory(layers: Sequence[Layer], *, batch_size: int = 1, bytes_each: int = 4) -> int:
    """Bytes of the parameters, and of two neighbouring outputs: a chain of layers holds only two at a time.

    The input of the network is not counted; shortcuts and branches need more.
    """
    outputs = [0, *(math.prod(layer.output) for layer in layers)]
    largest = max((before + after for before, after in itertools.pairwise(outputs)), default=0)
    at_least(1, batch_size=batch_size)
    return parameter_memory(layers, bytes_each=bytes_each) + batch_size * bytes_each * largest
