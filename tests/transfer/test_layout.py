import re
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

from fjdl import tree
from fjdl.errors import DataError
from fjdl.transfer.layout import Layout, from_torch, to_torch

LAYOUT = Layout(
    (
        (r"stage(\d)/conv", lambda match: f"layers.{int(match[1]) - 1}.0"),
        (r"stage(\d)/norm", r"layers.\1.bn"),
        (r"stage(\d)/scale/gamma", r"layers.\1.layer_scale"),
        (r"head/(\w+)", r"\1"),
        (r"slope", r"act"),
    ),
    flattened={"head/fc": (2, 3)},
)


def network(rng: np.random.Generator) -> tuple[Any, Any]:
    """Two convolutions, one of them grouped, a norm, a flatten of 2 x 3 x 4 and two dense layers."""

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    params = {
        "stage1": {"conv": {"kernel": draw(3, 2, 5, 4), "bias": draw(4)}},
        "stage2": {
            "conv": {"kernel": draw(3, 3, 1, 4)},
            "norm": {"scale": draw(4), "bias": draw(4)},
            "scale": {"gamma": draw(4)},
        },
        "head": {"fc": {"kernel": draw(24, 7), "bias": draw(7)}, "logits": {"kernel": draw(7, 2)}},
        "slope": {"bias": draw(1)[0]},
    }
    return params, {"batch_stats": {"stage2": {"norm": {"mean": draw(4), "var": draw(4)}}}}


def abstract(variables: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), variables)


def test_names_and_axes_are_pytorchs(rng: np.random.Generator) -> None:
    assert {key: value.shape for key, value in to_torch(*network(rng), LAYOUT).items()} == {
        "layers.0.0.weight": (4, 5, 3, 2),
        "layers.0.0.bias": (4,),
        "layers.1.0.weight": (4, 1, 3, 3),
        "layers.2.bn.weight": (4,),
        "layers.2.bn.bias": (4,),
        "layers.2.bn.running_mean": (4,),
        "layers.2.bn.running_var": (4,),
        "layers.2.layer_scale": (4,),
        "fc.weight": (7, 24),
        "fc.bias": (7,),
        "logits.weight": (2, 7),
        "act.bias": (),
    }


def test_kernels_compute_the_same_in_pytorch(rng: np.random.Generator) -> None:
    params, stats = network(rng)
    weights = {key: torch.tensor(value) for key, value in to_torch(params, stats, LAYOUT).items()}
    x = rng.standard_normal((1, 3, 2, 5)).astype(np.float32)
    kernel = params["stage1"]["conv"]["kernel"]
    ours = np.einsum("hwc,hwco->o", x[0], kernel)
    theirs = torch.nn.functional.conv2d(torch.tensor(x).permute(0, 3, 1, 2), weights["layers.0.0.weight"])
    np.testing.assert_allclose(theirs.flatten(), ours, rtol=1e-4, atol=1e-5)
    image = rng.standard_normal((1, 2, 3, 4)).astype(np.float32)
    theirs = torch.tensor(image).permute(0, 3, 1, 2).flatten(1) @ weights["fc.weight"].T
    np.testing.assert_allclose(theirs, image.reshape(1, 24) @ params["head"]["fc"]["kernel"], rtol=1e-4, atol=1e-5)


def test_there_and_back_is_the_identity_bitwise(rng: np.random.Generator) -> None:
    variables = network(rng)
    tensors = {**to_torch(*variables, LAYOUT), "layers.2.bn.num_batches_tracked": np.int64(3)}
    back = from_torch(tensors, *abstract(variables), LAYOUT)
    assert tree.digest(back) == tree.digest(variables)
    assert all(leaf.flags.c_contiguous and leaf.flags.owndata for leaf in jax.tree.leaves(back) if leaf.ndim)


def test_the_dtype_is_the_networks(rng: np.random.Generator) -> None:
    variables = network(rng)
    tensors = {key: value.astype(np.float64) for key, value in to_torch(*variables, LAYOUT).items()}
    assert tree.digest(from_torch(tensors, *variables, LAYOUT)) == tree.digest(variables)
    half = tree.cast(jax.tree.map(jnp.asarray, variables), jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(from_torch(tensors, *half, LAYOUT))} == {
        np.dtype(ml_dtypes.bfloat16)
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": None}, "weights must be those of the network, got 1 missing, the first 'fc.bias'"),
        ({"fc.extra": np.zeros(1)}, "weights must be those of the network, got 1 unexpected, the first 'fc.extra'"),
        ({"fc.bias": np.zeros(8)}, r"'fc.bias' must have the shape of 'head/fc/bias', \(7,\) .* got \(8,\)"),
        ({"fc.weight": np.zeros((7, 25))}, r"'fc.weight' must have the shape .* \(24, 7\) .* got \(7, 25\)"),
        ({"fc.weight": np.zeros((24, 7))}, r"\(24, 7\) in our order of axes, got \(24, 7\)"),
        ({"layers.0.0.weight": np.zeros((4, 5, 2, 3))}, r"\(3, 2, 5, 4\) .* got \(4, 5, 2, 3\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(rng: np.random.Generator, change: Any, message: str) -> None:
    variables = network(rng)
    tensors = {**to_torch(*variables, LAYOUT), **change}
    with pytest.raises(DataError, match=message):
        from_torch({key: value for key, value in tensors.items() if value is not None}, *variables, LAYOUT)


def test_a_part_that_no_rule_names_is_refused() -> None:
    with pytest.raises(ValueError, match="every part must match a rule of the layout, got 'stage1/pool/kernel'"):
        LAYOUT.key("stage1/pool/kernel")


def test_the_first_rule_that_matches_a_whole_path_counts() -> None:
    layout = Layout(((r"a", r"first"), (r"a.*", r"second"), (r".*", r"third")))
    assert [layout.key(f"{part}/kernel") for part in ("a", "ab", "ba")] == [
        "first.weight",
        "second.weight",
        "third.weight",
    ]


def test_two_parts_of_one_name_are_refused() -> None:
    params = {"conv1": {"bias": np.zeros(1)}, "conv2": {"bias": np.ones(1)}}
    message = "parts must have names of their own, got 'conv.bias' for 'conv1/bias' and 'conv2/bias'"
    for function in (to_torch, lambda *args: from_torch({"conv.bias": np.zeros(1)}, *args)):
        with pytest.raises(ValueError, match=re.escape(message)):
            function(params, {}, Layout(((r"conv\d", "conv"),)))
