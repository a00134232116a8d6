"""A hostile environment: 8 CPU devices, no implicit rank promotion, warnings are errors."""

import os

os.environ["JAX_PLATFORMS"] = os.environ.get("FJDL_TEST_PLATFORM", "cpu")
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
os.environ["MPLBACKEND"] = "Agg"

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
