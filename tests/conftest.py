"""A hostile environment: 8 CPU devices, no implicit rank promotion, warnings are errors.

Nearly all of the time is compilation, so programs are compiled with few optimizations; `FJDL_TEST_OPTIMIZED=1`, as in
`make test-slow` and `make fuzz`, compiles them as users do.
"""

import ctypes
import gc
import math
import os
import resource
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["JAX_PLATFORMS"] = os.environ.get("FJDL_TEST_PLATFORM", "cpu")
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # PyTorch's threads would spin in the time of the other worker
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"  # programs without the lines they come from are lowered faster
if not os.environ.get("FJDL_TEST_OPTIMIZED"):
    quick = (
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
        "--xla_cpu_parallel_codegen_split_count=1"
    )
    if version("jaxlib").startswith("0.10."):  # later ones have no other emitters and refuse the flag
        quick += " --xla_cpu_use_fusion_emitters=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()

if (data := Path(__file__).resolve().parents[2] / "shared" / "data").is_dir():  # beside the checkout
    os.environ.setdefault("FJDL_DATA_DIR", str(data))

import jax
import numpy as np
import pytest

from tests.running.absent import stand_in_for_torch
from tests.running.contexts import share_contexts
from tests.running.turns import leave_to_others

stand_in_for_torch()
share_contexts()

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_enable_compilation_cache", False)  # its keys cost time even where nothing is kept


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist=loadfile`, which `pyproject.toml` asks for, the rows of a module stay together too."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.running.distribution import Together

    return Together(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get("FJDL_TEST_WHOLE"):
        leave_to_others(items)


def pytest_collection_finish() -> None:
    """Leaves what collection made, some million objects, out of all later rounds of the garbage collector.

    Rounds over all of the rest take a quarter of a second each. They and those over new objects, of which tracing makes
    thousands, are made a tenth as often as Python would.
    """
    gc.collect()
    gc.freeze()
    _, middle, _ = gc.get_threshold()
    gc.set_threshold(10_000, middle, 100)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(autouse=True, scope="module")
def _forget_programs() -> Iterator[None]:
    """Drops the compiled programs and gives their memory back where a worker holds more than 2.7 GB."""
    yield
    if _resident_bytes() > 2.7e9:
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def _resident_bytes() -> float:
    """Memory of this process, which only Linux tells."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * resource.getpagesize() if pages.exists() else math.inf
