"""What a network of integers costs on a TPU, read off compiled programs: no TPU is needed, but the extra `tpu` is.

`JAX_PLATFORMS=cpu TPU_SKIP_MDS_QUERY=1 python -m experiments.quantizations.on_tpu --write docs/quantization.md`
compiles the forward pass of ResNet-50 in bfloat16, and with int8 kernels and inputs, for one chip.
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.compiled.hlo import parse
from experiments.compiled.schedule import cycles
from experiments.compiled.topology import find_slice, require_compiler, require_name
from experiments.pages.markdown import print_table, table_line

SECTION = "integers on a TPU"
STREAM = (r"stem(/conv)?|stage\d+/block\d+(/shortcut)?",)


@dataclasses.dataclass(frozen=True)
class Options:
    """Compile the forward pass of ResNet-50 for a TPU, in bfloat16 and of integers."""

    topology: str = "v5e:2x2"
    """The slice, of which one device is used."""
    batch_size: int = 32
    """Images of 224 x 224 pixels."""
    write: Path | None = None
    """A Markdown file in which the table between the two marker lines of its section is replaced."""


def main() -> None:
    """Prints the table row by row, and writes it where asked."""
    options = tyro.cli(Options, args=sys.argv[1:])
    require_name(options.topology)
    require_compiler()
    print_table(table(options), options.write, section=SECTION)


def table(options: Options) -> Iterator[str]:
    """A row for each form; ratios are to bfloat16."""
    device = find_slice(options.topology).devices[0]
    yield table_line(("forward pass", "MB accessed", "ratio", "estimated kilocycles", "ratio"))
    yield "|---|---:|---:|---:|---:|"
    first = None
    for name, call in forms(options.batch_size):
        accessed, estimated = costs(call, device)
        first = first or (accessed, estimated)
        cells = f"{accessed / 1e6:,.0f}", f"{accessed / first[0]:.2f}", f"{estimated / 1e3:,.0f}"
        yield table_line((name, *cells, f"{estimated / first[1]:.2f}"))


def forms(batch_size: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The function of each form and the shapes of its arguments."""
    import jax
    import jax.numpy as jnp

    from fjdl.models import resnet50
    from fjdl.nn import folded, pure
    from fjdl.nn.quantized import fake_quantized, quantized

    def of(model: Any) -> Any:
        return lambda params, stats, images: model.apply(params, stats, images, train=False)[0]

    def narrow(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), tree)

    key, one = jax.random.key(0), jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    images = jax.ShapeDtypeStruct((batch_size, 224, 224, 3), jnp.bfloat16)
    network = pure(resnet50())
    params, stats = jax.eval_shape(network.init, key, one)
    yield "bfloat16", (of(network), narrow(params), stats, images)
    smaller, fold, _ = folded(network, one)
    yield (
        "bfloat16, normalizations folded",
        (of(smaller), narrow(jax.eval_shape(fold, params, stats)[0]), stats, images),
    )
    for name, outputs in (("", ()), (", and outputs of stem, shortcuts and blocks", STREAM)):
        model, convert = quantized(smaller, one, outputs=outputs)
        learned = jax.eval_shape(fake_quantized(smaller, one, outputs=outputs).init, key, one)
        yield f"int8 kernels and inputs{name}", (of(model), *jax.eval_shape(convert, *learned), images)


def costs(call: tuple[Any, ...], device: Any) -> tuple[float, int]:
    """Bytes that the program accesses, as the compiler counts them, and the cycles that it expects."""
    import jax
    from jax.sharding import SingleDeviceSharding

    function, *arguments = call
    place = SingleDeviceSharding(device)
    placed = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), arguments)
    made: Any = jax.jit(function).trace(*placed).lower(lowering_platforms=("tpu",)).compile()
    module = parse(made.as_text())
    return float(made.cost_analysis()["bytes accessed"]), cycles(module, module.entry)


if __name__ == "__main__":
    run_guarded(main)
