"""Names of `torch.nn.MultiheadAttention` and the transformers of `torch.nn`, which hold three kernels as one."""

import re
from collections.abc import Mapping

import numpy as np

from fjdl.transfer.layout import Layout

_PARTS = {"attention": "self_attn", "cross": "multihead_attn", "dense1": "linear1", "dense2": "linear2"}
_PROJECTIONS = {"query": "q", "key": "k", "value": "v"}
_BLOCK = r"(?:block(?P<block>\d+)/)?"
_ATTENTION = r"(?:(?P<part>attention|cross)/)?"


def _home(match: re.Match[str]) -> str:
    """The name of a block and its part, with a dot behind each."""
    found = match.groupdict()
    block, part = found.get("block"), found.get("part")
    return (f"layers.{block}." if block else "") + (f"{_PARTS.get(part, part)}." if part else "")


def _projection(match: re.Match[str]) -> str:
    ending = "weight" if match["leaf"] == "kernel" else "bias"
    return f"{_home(match)}{_PROJECTIONS[match['which']]}_proj_{ending}"


TRANSFORMER = Layout(
    (
        (f"{_BLOCK}{_ATTENTION}(?P<which>query|key|value)/(?P<leaf>kernel|bias)", _projection),
        (f"{_BLOCK}{_ATTENTION}out", lambda match: f"{_home(match)}out_proj"),
        (f"{_BLOCK}(?P<part>norm[123]|dense[12])", lambda match: _home(match).removesuffix(".")),
        (r"norm", "norm"),
    )
)
"""Of `nn.MultiHeadAttention`, transformer blocks and stacks of them, after `split_projections`."""


def split_projections(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A PyTorch state dict with kernels and biases of queries, keys and values apart, for `from_torch`.

    `in_proj_weight` becomes `q_proj_weight`, `k_proj_weight` and `v_proj_weight`, and biases likewise.
    """
    parts = {}
    for name, tensor in tensors.items():
        home, joint, ending = name.rpartition("in_proj_")
        thirds = np.split(np.asarray(tensor), 3) if joint else []
        parts |= {f"{home}{letter}_proj_{ending}": third for letter, third in zip("qkv", thirds, strict=False)}
        if not joint:
            parts[name] = np.asarray(tensor)
    return parts


def join_projections(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of `split_projections`, for what `to_torch` gives.

    Kernels of keys or values that come from another number of features than queries stay apart, as PyTorch has them.
    """
    whole = dict(tensors)
    for name in tensors:
        home, joint, ending = name.rpartition("q_proj_")
        names = [f"{home}{letter}_proj_{ending}" for letter in "qkv"]
        if joint and len({tensors[each].shape for each in names}) == 1:
            whole[f"{home}in_proj_{ending}"] = np.concatenate([whole.pop(each) for each in names])
    return whole
