"""Number formats side by side: `python -m experiments.pages.dtypes --write docs/dtypes.md`."""

import dataclasses
import sys
from pathlib import Path

import tyro

from experiments.command import run_guarded
from experiments.pages.markdown import replace_table, require_markers, table_line

FORMATS = (
    "float64", "float32", "bfloat16", "float16", "float8_e5m2", "float8_e4m3fn",
    "int32", "int16", "int8", "uint8", "int4", "int2",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Options:
    """Print what each number format holds."""

    write: Path | None = None
    """A Markdown file in which the table between the two marker lines is replaced."""


def main() -> None:
    """Prints the table, and writes it where asked."""
    options = tyro.cli(Options, args=sys.argv[1:])
    if options.write is not None:
        require_markers(options.write)
    print(table())
    if options.write is not None:
        replace_table(options.write, table())


def table() -> str:
    """A row for each format, from `fjdl.dtypes.info`."""
    from fjdl.dtypes import info

    lines = [
        "| format | bits | sign + exponent + fraction | decimal digits | largest | step at 1 | smallest normal | "
        "smallest | too large becomes | bytes of 11 · 10⁹ parameters |",
        "|---|---:|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    for kind in map(info, FORMATS):
        whole = kind.exponent == 0
        parts = f"{kind.sign} + {kind.mantissa}" if whole else f"{kind.sign} + {kind.exponent} + {kind.mantissa}"
        cells = [
            f"{kind.digits:.1f}" if whole else f"{kind.digits:.2f}",
            f"{kind.largest:,.0f}" if kind.largest < 1e10 else f"{kind.largest:.4e}",
            "1" if whole else f"2^{_power(kind.eps)}",
            "1" if whole else f"{kind.tiny:.4g}",
            "1" if whole else f"{kind.least:.2g}",
            "wraps around" if whole else "∞" if kind.infinity else "NaN",
            f"{kind.bytes_of(11_000_000_000) / 1e9:.4g} GB",
        ]
        lines.append(table_line([kind.name, str(kind.bits), parts, *cells]))
    return "\n".join(lines)


def _power(number: float) -> int:
    """The exponent of a power of two."""
    mantissa, exponent = number.hex().removeprefix("0x").split("p")
    assert float(mantissa) == 1
    return int(exponent)


if __name__ == "__main__":
    run_guarded(main)
