"""Kernels made small, which the program expands again: each scheme, number of bits and granularity."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

Scheme = Literal["absmax", "zero-point", "nf4", "float8"]
Granularity = Literal["tensor", "channel", "group"]
FIXED = {"nf4": 4, "float8": 8}  # bits of schemes that have no others


def quantizers(options: Any) -> dict[str, Callable[[Any], Any]]:
    """What makes a kernel small, by the name of its row; one scale for each channel is not named."""
    schemes, every, blocks = options.scheme, options.bits, options.granularity
    if options.all:
        schemes, every, blocks = get_args(Scheme), (8, 4, 3, 2), get_args(Granularity)
    found = {}
    for scheme, bits, granularity in itertools.product(schemes, every, blocks):
        bits = FIXED.get(scheme, bits)
        name = scheme if scheme in FIXED else f"int{bits} {scheme}"
        shared = {"tensor": " per tensor", "channel": "", "group": f" per {options.group}"}[granularity]
        found[name + shared] = partial(shrunk, scheme=scheme, bits=bits, granularity=granularity, group=options.group)
    return found


def shrunk(kernel: Any, *, scheme: Scheme, bits: int, granularity: Granularity, group: int) -> Any:
    """A kernel quantized: its last axis is that of output channels, the one before that of inputs."""
    from fjdl import quant

    fitting = group if granularity == "group" and kernel.ndim > 1 and kernel.shape[-2] % group == 0 else None
    make = {
        "absmax": partial(quant.absmax_quantize, bits=bits),
        "zero-point": partial(quant.zeropoint_quantize, bits=bits),
        "nf4": quant.nf4_quantize,
        "float8": quant.float8_quantize,
    }
    return make[scheme](kernel, axis=None if granularity == "tensor" else -1, group=fitting)
