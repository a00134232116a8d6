"""A run's parameters and statistics as arrays with names, quantized or as they are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from experiments.evaluate import LoadedRun
from experiments.predictions.base import variables_of
from fjdl.quant import is_quantized
from fjdl.tree import whole_name
from fjdl.typing import PyTree


def variables_on_one_device(run: LoadedRun) -> tuple[PyTree, PyTree]:
    """Parameters and statistics of the best epoch, whatever devices they were shared by."""
    return jax.tree.map(jnp.asarray, jax.device_get(variables_of(run)))


def quantized_forms(params: PyTree) -> dict[str, dict[str, Any]]:
    """The bits, shape and levels of each quantized array, and how its integers lie in bytes, by its name in a file."""
    leaves = jax.tree_util.tree_leaves_with_path({"params": params}, is_leaf=is_quantized)
    return {whole_name(path): _form(leaf) for path, leaf in leaves if is_quantized(leaf)}


def write_weights(path: Path, params: PyTree, stats: PyTree, *, told: Mapping[str, str]) -> None:
    """A safetensors file of `params/…` and `stats/…`, with forms of quantized arrays and `told` as its metadata."""
    from fjdl.transfer import save_safetensors

    forms = quantized_forms(params)
    quantization = {"quantization": json.dumps(forms, sort_keys=True)} if forms else {}
    save_safetensors(path, {"params": params, "stats": stats}, metadata={**told, **quantization})


def _form(quantized: Any) -> dict[str, Any]:
    packed = quantized.columns is not None
    levels = {} if quantized.levels is None else {"levels": list(quantized.levels)}
    return {"bits": quantized.bits, "shape": list(quantized.shape), "packed": packed, **levels}
