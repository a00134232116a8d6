"""Trained weights: files, the names and axes of PyTorch, and new heads for new tasks.

May import floor 0, `fjdl.data`, `fjdl.model` and `fjdl.quant`.

>>> from fjdl import transfer
>>> params = {"stem": {"kernel": jnp.ones(2)}, "head": {"kernel": jnp.ones(3)}}
>>> new = {"stem": {"kernel": jnp.zeros(2)}, "head": {"kernel": jnp.zeros(3)}}
>>> transfer.replace_head(params, new, head="head/.*")["head"]
{'kernel': Array([0., 0., 0.], dtype=float32)}
"""

from fjdl.transfer.files import load_safetensors, read_metadata, restored, save_safetensors
from fjdl.transfer.head import layerwise_rates, replace_head
from fjdl.transfer.layout import Layout, from_torch, to_torch
from fjdl.transfer.legacy import load_torch_pickle
from fjdl.transfer.quantized import load_quantized, quantized_forms, save_quantized
from fjdl.transfer.recurrent import recurrent_from_torch, recurrent_to_torch
from fjdl.transfer.start import pretrained
from fjdl.transfer.transformer import TRANSFORMER, join_projections, split_projections

__all__ = [
    "TRANSFORMER", "Layout", "from_torch", "join_projections", "layerwise_rates", "load_quantized", "load_safetensors",
    "load_torch_pickle", "pretrained", "quantized_forms", "read_metadata", "recurrent_from_torch",
    "recurrent_to_torch", "replace_head", "restored", "save_quantized", "save_safetensors", "split_projections",
    "to_torch",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
