"""A run's parameters and statistics as arrays with names, quantized or as they are."""

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp

from experiments.evaluate import LoadedRun
from experiments.predictions.base import variables_of
from fjdl.typing import PyTree


def variables_on_one_device(run: LoadedRun) -> tuple[PyTree, PyTree]:
    """Parameters and statistics of the best epoch, whatever devices they were shared by."""
    return jax.tree.map(jnp.asarray, jax.device_get(variables_of(run)))


def write_weights(path: Path, params: PyTree, stats: PyTree, *, told: Mapping[str, str]) -> None:
    """A safetensors file of `params/…` and `stats/…` for `load_quantized`, with `told` in its metadata too."""
    from fjdl.transfer import save_quantized

    save_quantized(path, {"params": params, "stats": stats}, metadata=told)
