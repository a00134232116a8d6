"""What there is on this machine: Python, packages, devices, folders, variables.  It changes nothing but one cache."""

import importlib.metadata
import os
import platform
import re
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

PACKAGES = ("jax", "jaxlib", "libtpu", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
VARIABLES = (
    "JAX_PLATFORMS", "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_DEBUG_NANS",
    "JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "LIBTPU_INIT_ARGS", "TPU_VISIBLE_CHIPS", "TPU_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES", "XLA_PYTHON_CLIENT_MEM_FRACTION", "FJDL_DATA_DIR", "FJDL_CACHE_DIR",
)  # fmt: skip
TPU_FILES = ("/dev/accel*", "/dev/vfio/[0-9]*")
GPU_FILES = ("/dev/nvidia[0-9]*",)
SIZE = 1024  # rows and columns of the product that each device computes


class Device(NamedTuple):
    """One device that JAX sees."""

    id: int
    platform: str
    kind: str
    memory_bytes: int | None  # in use
    memory_limit_bytes: int | None
    product_seconds: float | None  # of a product of two float32 matrices with `SIZE` rows and columns
    error: str | None  # why there is no such product, or what is wrong with it


class Folder(NamedTuple):
    """A folder that a training uses."""

    use: str  # such as "data"
    path: str
    exists: bool
    writable: bool  # it, or the folder above it in which it would be made
    free_bytes: int | None
    entries: tuple[str, ...] = ()  # names of data sets
    files: int = 0  # programs in a cache
    size_bytes: int = 0


class Facts(NamedTuple):
    """All that findings rest on."""

    python: str
    fjdl: str
    packages: Mapping[str, str | None]  # their versions, None for one that is not installed
    wanted_libtpu: str | None  # the version that the installed jax asks for, such as 0.0.42.*
    cpu_count: int
    memory_bytes: int | None  # of the host
    devices: Sequence[Device]
    processes: int
    backend_error: str | None  # why JAX has no devices
    tpu_files: Sequence[str]  # device files of TPUs, such as /dev/accel0
    gpu_files: Sequence[str]
    holders: Sequence[int]  # other processes that have the TPUs' files open, as far as this user may see
    x64: bool
    folders: Sequence[Folder]
    variables: Mapping[str, str]  # those of `VARIABLES` that are set


def gather() -> Facts:
    """The facts of this machine; it waits until JAX has found its devices, which a TPU may delay."""
    from experiments.command import compilation_cache
    from fjdl import __version__
    from fjdl.data.files import search_path

    variables = {name: os.environ[name] for name in VARIABLES if name in os.environ}  # before JAX sets some of its own
    tpu_files = sorted(file for pattern in TPU_FILES for file in glob(pattern))
    devices, processes, error = _devices()
    import jax

    *users, cache = search_path()
    return Facts(
        python=platform.python_version(),
        fjdl=__version__,
        packages={name: _version(name) for name in PACKAGES},
        wanted_libtpu=_wanted_libtpu(),
        cpu_count=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_host_memory(),
        devices=devices,
        processes=processes,
        backend_error=error,
        tpu_files=tpu_files,
        gpu_files=sorted(file for pattern in GPU_FILES for file in glob(pattern)),
        holders=holders(tpu_files),
        x64=bool(jax.config.read("jax_enable_x64")),
        folders=[
            _folder("runs", Path("runs")),
            _folder("compilation cache", Path(compilation_cache()), count=True),
            *[_folder("data", path, names=True) for path in users],
            _folder("downloads", cache, names=True),
        ],
        variables=variables,
    )


def _devices() -> tuple[list[Device], int, str | None]:
    import jax

    try:
        found = jax.local_devices()
    except RuntimeError as error:
        return [], 0, " ".join(str(error).split())
    return [_device(device) for device in found], jax.process_count(), None


def _device(device: Any) -> Device:
    stats = device.memory_stats() or {}
    seconds, error = _product(device)
    return Device(
        device.id,
        device.platform,
        device.device_kind,
        stats.get("bytes_in_use"),
        stats.get("bytes_limit"),
        seconds,
        error,
    )


def _product(device: Any) -> tuple[float | None, str | None]:
    """The seconds of a product on the device, or what is wrong with it."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    try:
        ones = jax.device_put(np.ones((SIZE, SIZE), np.float32), device)
        multiply = jax.jit(lambda x: jnp.matmul(x, x, precision="highest"))
        result = np.asarray(multiply(ones))
        times = []
        for _ in range(5):
            start = time.perf_counter()
            multiply(ones).block_until_ready()
            times.append(time.perf_counter() - start)
    except RuntimeError as error:
        return None, " ".join(str(error).split())
    wrong = int((result != SIZE).sum())
    return statistics.median(times), f"{wrong} of {result.size} numbers of a product are wrong" if wrong else None


def _folder(use: str, path: Path, *, names: bool = False, count: bool = False) -> Folder:
    path = path.expanduser()
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    entries = tuple(sorted(entry.name for entry in path.iterdir() if entry.is_dir())) if names and path.is_dir() else ()
    sizes = [entry.stat().st_size for entry in os.scandir(path)] if count and path.is_dir() else []
    writable = os.access(there, os.W_OK)
    return Folder(use, str(path), path.is_dir(), writable, _free(there), entries, len(sizes), sum(sizes))


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def holders(files: Sequence[str]) -> list[int]:
    """Processes other than this one that have one of the files open, as far as this user may see."""
    found = set()
    for link in glob("/proc/[0-9]*/fd/*") if files else ():
        try:
            if os.readlink(link) in files:
                found.add(int(link.split("/")[2]))
        except OSError:
            continue
    return sorted(found - {os.getpid()})


def _host_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _wanted_libtpu() -> str | None:
    try:
        lines = importlib.metadata.requires("jax") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = (re.match(r"libtpu\s*==\s*([\w.*]+)", line) for line in lines)
    return next((match[1] for match in found if match), None)
