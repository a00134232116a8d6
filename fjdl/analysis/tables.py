"""Text tables of what networks cost."""

from collections.abc import Mapping, Sequence

from fjdl.analysis.counts import Layer, total
from fjdl.analysis.memory import inference_memory, training_memory
from fjdl.typing import typed


@typed
def format_table(layers: Sequence[Layer]) -> str:
    """A text table with one line for each layer and one for the total.

    Its columns: output volume, parameters, MACs, pool operations, FLOPs (2 MACs + pool operations).
    """
    header = ("layer", "output", "parameters", "MACs", "pool ops", "FLOPs")
    return _table([header, *(_row(layer) for layer in [*layers, total(layers)])], left=2)


@typed
def format_comparison(networks: Mapping[str, Sequence[Layer]], *, batch_size: int = 1) -> str:
    """A text table with one line for each network, its layers given.

    Its columns: parameters, MACs, FLOPs (2 MACs + pool operations), layers with weights, and the float32 memory in MiB
    of inference and of training with Adam on batches of `batch_size`.
    """
    header = ("network", "parameters", "GMACs", "GFLOPs", "weight layers", "inference MiB", "training MiB")
    rows = [_network_row(name, layers, batch_size) for name, layers in networks.items()]
    return _table([header, *rows], left=1)


def _row(layer: Layer) -> tuple[str, ...]:
    counts = (layer.parameters, layer.macs, layer.pool_operations, layer.flops)
    return layer.name, "×".join(map(str, layer.output)), *(f"{count:,}" for count in counts)


def _network_row(name: str, layers: Sequence[Layer], batch_size: int) -> tuple[str, ...]:
    whole = total(layers)
    memory = (inference_memory(layers, batch_size=batch_size), training_memory(layers, batch_size=batch_size))
    weighted = sum(layer.macs > 0 for layer in layers)
    giga = (f"{operations / 1e9:.3f}" for operations in (whole.macs, whole.flops))
    return name, f"{whole.parameters:,}", *giga, str(weighted), *(f"{size / 2**20:.1f}" for size in memory)


def _table(rows: Sequence[tuple[str, ...]], *, left: int) -> str:
    """The first `left` columns aligned to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(_aligned(row, widths, left)).rstrip() for row in rows)


def _aligned(row: tuple[str, ...], widths: Sequence[int], left: int) -> list[str]:
    pairs = enumerate(zip(row, widths, strict=True))
    return [cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in pairs]
