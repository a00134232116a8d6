"""What facts of a machine mean for a training on it, and what to do."""

import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from experiments.health.facts import Facts

OLDEST_JAX = (0, 10, 2)
LEAST_FREE = 2**30  # bytes, below which a folder's disk is called full
HELD = 0.5  # share of a device's memory in use before anything has been trained


class Finding(NamedTuple):
    """Something to do."""

    problem: str
    remedy: str


def findings(facts: Facts) -> list[Finding]:
    """What keeps this machine from training as it could, the first cause first; empty where it is healthy."""
    return [found for rule in RULES for found in rule(facts)]


def _old_jax(facts: Facts) -> Iterator[Finding]:
    version = facts.packages.get("jax")
    if version is None or _numbers(version) < OLDEST_JAX:
        wanted = ".".join(map(str, OLDEST_JAX))
        yield Finding(
            f"jax is {version or 'not installed'}, fjdl needs {wanted} or newer",
            "make an environment with Python 3.11 or newer (pip of Python 3.10 takes jax 0.6.2), install fjdl there",
        )


def _unused_tpu(facts: Facts) -> Iterator[Finding]:
    if not facts.tpu_files or "tpu" in _platforms(facts):
        return
    seen = f"this machine has a TPU ({facts.tpu_files[0]}), but JAX uses {', '.join(_platforms(facts)) or 'nothing'}"
    asked = facts.variables.get("JAX_PLATFORMS", "")
    if asked and "tpu" not in asked.split(","):
        yield Finding(f"{seen}: JAX_PLATFORMS is {asked}", "export JAX_PLATFORMS=tpu,cpu")
    elif facts.packages.get("libtpu") is None:
        yield Finding(
            f"{seen}: libtpu is not installed", 'uv pip install -e ".[tpu]" in the environment of this Python'
        )
    elif facts.holders:
        yield Finding(f"{seen}: process {facts.holders[0]} holds it", _release(facts))
    else:
        error = facts.backend_error or "it gives no reason"
        yield Finding(
            f"{seen}: {error}", "export JAX_PLATFORMS=tpu,cpu, which makes JAX name the reason, and run again"
        )


def _held_tpu(facts: Facts) -> Iterator[Finding]:
    busy = re.search(r"already in use|iommu group|Device or resource busy", facts.backend_error or "")
    if busy and not facts.tpu_files:
        yield Finding(f"the TPU is in use: {facts.backend_error}", _release(facts))


def _other_libtpu(facts: Facts) -> Iterator[Finding]:
    installed, wanted = facts.packages.get("libtpu"), facts.wanted_libtpu
    if installed and wanted and not fnmatch.fnmatch(installed, wanted):
        yield Finding(
            f"libtpu is {installed}, jax {facts.packages.get('jax')} wants {wanted}",
            f'uv pip install "libtpu=={wanted}"',
        )


def _unused_gpu(facts: Facts) -> Iterator[Finding]:
    if facts.gpu_files and not facts.tpu_files and not {"gpu", "cuda", "rocm"} & set(_platforms(facts)):
        yield Finding(
            f"this machine has a GPU ({facts.gpu_files[0]}), but JAX uses {', '.join(_platforms(facts)) or 'nothing'}",
            'uv pip install -e ".[cuda]", and unset JAX_PLATFORMS where it names no GPU',
        )


def _no_backend(facts: Facts) -> Iterator[Finding]:
    if facts.backend_error and not (facts.tpu_files or facts.gpu_files):
        asked = facts.variables.get("JAX_PLATFORMS")
        remedy = f"unset JAX_PLATFORMS, which is {asked}" if asked else "see what the message names"
        yield Finding(f"JAX has no devices: {facts.backend_error}", remedy)


def _broken_device(facts: Facts) -> Iterator[Finding]:
    for device in facts.devices:
        if device.error:
            yield Finding(
                f"device {device.id} ({device.kind}) does not multiply: {device.error}",
                "run again alone; where it stays so, take another machine and report the chip",
            )


def _held_memory(facts: Facts) -> Iterator[Finding]:
    for device in facts.devices:
        if device.memory_bytes and device.memory_limit_bytes:
            share = device.memory_bytes / device.memory_limit_bytes
            if share > HELD:
                yield Finding(
                    f"{100 * share:.0f} % of the memory of device {device.id} ({device.kind}) are in use already",
                    "end the other program on it, or let it leave memory free",
                )


def _several_hosts(facts: Facts) -> Iterator[Finding]:
    if facts.processes > 1:
        yield Finding(
            f"JAX runs in {facts.processes} processes, and fjdl trains on one host",
            "take a slice of one host, see TPU_SETUP.md, section 1",
        )


def _double_precision(facts: Facts) -> Iterator[Finding]:
    if facts.x64:
        yield Finding("jax_enable_x64 is on: memory doubles, and a TPU emulates float64", "unset JAX_ENABLE_X64")


def _folders(facts: Facts) -> Iterator[Finding]:
    for folder in facts.folders:
        where = f"{folder.use} folder {folder.path}"
        if folder.use == "data" and not folder.exists:
            yield Finding(f"FJDL_DATA_DIR names {folder.path}, which is no folder", "make it, or unset FJDL_DATA_DIR")
        elif folder.use != "data" and not folder.writable:
            yield Finding(f"the {where} cannot be written", "give yourself the right to, or name another folder")
        elif folder.use != "data" and folder.free_bytes is not None and folder.free_bytes < LEAST_FREE:
            free = f"{folder.free_bytes / 2**20:,.0f} MiB"
            yield Finding(f"the disk of the {where} has {free} free", "remove what is old there, or take a larger disk")


RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    _old_jax, _unused_tpu, _held_tpu, _other_libtpu, _unused_gpu, _no_backend, _broken_device, _held_memory,
    _several_hosts, _double_precision, _folders,
)  # fmt: skip


def _release(facts: Facts) -> str:
    if facts.holders:
        several = " ".join(map(str, facts.holders))
        return f"wait until it ends, or end it: kill {several}"
    return "sudo fuser -v /dev/accel* /dev/vfio/* names the process; if there is none: sudo rm -f /tmp/libtpu_lockfile"


def _platforms(facts: Facts) -> list[str]:
    return sorted({device.platform for device in facts.devices})


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
