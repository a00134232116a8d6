"""What JAX sees on this machine, and what to do: `python -m experiments.doctor`.

Exit status 0 where the machine is healthy, 1 where there is something to do.
"""

import dataclasses
import sys
from collections.abc import Sequence

import tyro

from experiments.command import run_guarded
from experiments.health.facts import SIZE, Device, Facts, Folder, gather
from experiments.health.findings import Finding, findings


@dataclasses.dataclass(frozen=True)
class Options:
    """Look at Python, packages, devices, folders and variables, and say what to do."""

    json: bool = False
    """Print one JSON object with the same content."""


def main() -> None:
    """Prints facts and findings, as text or as JSON."""
    options = tyro.cli(Options, args=sys.argv[1:])
    print("asking JAX for its devices ...", file=sys.stderr, flush=True)
    facts = gather()
    found = findings(facts)
    print(as_json(facts, found) if options.json else as_text(facts, found))
    if found:
        sys.exit(1)


def as_json(facts: Facts, found: Sequence[Finding]) -> str:
    """One object: the facts by their names, and under "findings" what to do."""
    from fjdl.train.json_files import encode_json

    content = {**facts._asdict(), "findings": [finding._asdict() for finding in found]}
    content["devices"] = [device._asdict() for device in facts.devices]
    content["folders"] = [folder._asdict() for folder in facts.folders]
    return encode_json(content, indent=2).rstrip()


def as_text(facts: Facts, found: Sequence[Finding]) -> str:
    """A few lines of facts, then the findings."""
    versions = {"python": facts.python, "fjdl": facts.fjdl, **facts.packages}
    memory = "" if facts.memory_bytes is None else f", {_size(facts.memory_bytes)} of memory"
    lines = [
        ("versions", ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())),
        ("host", f"{facts.cpu_count} cores{memory}"),
        ("devices", f"{len(facts.devices)} in {facts.processes} process{'es' * (facts.processes > 1)}"),
        *[(f"  {device.platform} {device.id}", _device(device)) for device in facts.devices],
        *[(folder.use, _folder(folder)) for folder in facts.folders],
        ("variables", ", ".join(f"{name}={value}" for name, value in facts.variables.items()) or "none is set"),
    ]
    width = max(len(name) for name, _ in lines)
    text = "\n".join(f"{name:{width}}  {value}" for name, value in lines)
    if not found:
        return f"{text}\nhealthy: nothing to do"
    numbered = "\n".join(f"{i}. {finding.problem}\n   {finding.remedy}" for i, finding in enumerate(found, start=1))
    return f"{text}\nto do:\n{numbered}"


def _device(device: Device) -> str:
    if device.product_seconds is None:
        return f"{device.kind}: {device.error}"
    rate = 2 * SIZE**3 / device.product_seconds / 1e9
    memory = "memory is not told"
    if device.memory_bytes is not None and device.memory_limit_bytes is not None:
        memory = f"{_size(device.memory_bytes)} of {_size(device.memory_limit_bytes)} in use"
    product = f"a float32 product of {SIZE} x {SIZE} in {1e3 * device.product_seconds:.2f} ms, {rate:,.0f} GFLOP/s"
    return f"{device.kind}: {memory}; {product}"


def _folder(folder: Folder) -> str:
    free = "" if folder.free_bytes is None else f", {_size(folder.free_bytes)} free"
    if not folder.exists:
        return f"{folder.path}, not made yet{free}"
    held = f": {', '.join(folder.entries)}" if folder.entries else ""
    programs = f", {folder.files:,} files with {_size(folder.size_bytes)}" if folder.files else ""
    return f"{folder.path}{held}{programs}{free}{'' if folder.writable else ', read-only'}"


def _size(number: int) -> str:
    scales = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
    return next((f"{number / scale:,.1f} {unit}" for unit, scale in scales if number >= scale), f"{number} bytes")


if __name__ == "__main__":
    run_guarded(main)
