"""A hostile environment: 8 CPU devices, no implicit rank promotion, warnings are errors.

Nearly all of the time is compilation, so programs are compiled with few optimizations; `FJDL_TEST_OPTIMIZED=1`, as in
`make test-slow` and `make fuzz`, compiles them as users do.
"""

import os

os.environ["JAX_PLATFORMS"] = os.environ.get("FJDL_TEST_PLATFORM", "cpu")
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
os.environ["MPLBACKEND"] = "Agg"
if not os.environ.get("FJDL_TEST_OPTIMIZED"):
    quick = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
