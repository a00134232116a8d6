"""Files of quantized trees, read without knowing what is in them, and files that lie."""

import itertools
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import quant
from fjdl.errors import DataError
from fjdl.transfer import load_quantized, quantized_forms, read_metadata, save_quantized
from fjdl.transfer.files import load_safetensors, save_safetensors
from fjdl.tree import digest

SCHEMES = {
    **{f"absmax {bits}": partial(quant.absmax_quantize, bits=bits, axis=-1) for bits in range(2, 9)},
    **{f"zero-point {bits}": partial(quant.zeropoint_quantize, bits=bits) for bits in range(2, 9)},
    "groups": partial(quant.zeropoint_quantize, bits=4, axis=-1, group=2),
    "NF4": partial(quant.nf4_quantize, group=None),
    "e4m3": partial(quant.float8_quantize, axis=-1),
    "e5m2": partial(quant.float8_quantize, dtype=jnp.float8_e5m2),
}  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_comes_back_from_the_file_alone(tmp_path, rng, scheme):
    tree = {"dense": {"kernel": SCHEMES[scheme](rng.standard_normal((4, 5)).astype(np.float32)), "bias": np.ones(5)}}
    save_quantized(tmp_path / "w", tree, metadata={"model": "mine"})
    back = load_quantized(tmp_path / "w")
    assert jax.tree.structure(back) == jax.tree.structure(tree)  # bits, columns and levels are part of it
    assert digest(back) == digest(tree)
    assert read_metadata(tmp_path / "w")["model"] == "mine"


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("length", [0, 1, 7, 65])
def test_packed_rows_of_every_length_come_back(tmp_path, bits, length):
    whole = np.random.default_rng(length).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (3, length), np.int8)
    grid = quant.Grid(jnp.ones((1, 1), jnp.float32), bits=bits)
    for form in ("packed", "bytes"):
        save_quantized(tmp_path / form, {"w": quant.stored(quant.from_integers(whole, grid), form=form)})
        np.testing.assert_array_equal(quant.integers(load_quantized(tmp_path / form)["w"]), whole)


def test_a_block_of_nan_a_scalar_and_a_bare_list_are_kept(tmp_path):
    broken = jax.jit(partial(quant.absmax_quantize, axis=0))(jnp.array([[1.0, jnp.nan], [1.0, 2.0]]))
    save_quantized(tmp_path / "w", {"a": [broken, quant.zeropoint_quantize(jnp.float32(3.0), bits=4)]})
    back = load_quantized(tmp_path / "w")["a"]
    np.testing.assert_array_equal(quant.dequantize(back["0"]), [[np.nan, np.nan], quant.dequantize(broken)[1]])
    assert quant.dequantize(back["1"]) == 3.0


def test_forms_say_what_arrays_alone_do_not():
    tree = {
        "a": {"b": quant.absmax_quantize(jnp.ones((2, 3)), bits=4)},
        "c": quant.absmax_quantize(jnp.ones(5)),
        "d": 1,
    }
    eight = {"bits": 8, "shape": [5], "packed": False}
    assert quantized_forms(tree) == {"a/b": {"bits": 4, "shape": [2, 3], "packed": True}, "c": eight}


def test_native_integers_and_the_files_own_key_are_refused(tmp_path):
    four = quant.absmax_quantize(jnp.ones(4), bits=4)
    with pytest.raises(ValueError, match=r"^tensor 'w/values' must have a dtype of the format, got int4$"):
        save_quantized(tmp_path / "w", {"w": quant.stored(four, form="native")})
    with pytest.raises(ValueError, match=r"^metadata must not have the key 'quantization', which says how arrays are "):
        save_quantized(tmp_path / "w", {"w": four}, metadata={"quantization": ""})


GOOD = {"bits": 4, "shape": [2, 3], "packed": True}
DAMAGED = {
    "no object": ("[]", r"'quantization' of its metadata must be an object in JSON, got '\[\]'"),
    "no JSON": ("{", r"'quantization' of its metadata must be an object in JSON, got '{'"),
    "too deep": ("[" * 100_000, r"'quantization' of its metadata must be an object in JSON, got '\[+\.\.\."),
    "a number": ({"w": 4}, "the form of 'w' must have bits, shape, packed and perhaps levels, got 4"),
    "a key less": ({"w": {"bits": 4}}, "the form of 'w' must have bits, shape, packed and perhaps levels, got .*"),
    "a key more": ({"w": {**GOOD, "x": 1}}, "the form of 'w' must have bits, shape, packed and perhaps levels, got .*"),
    "true bits": ({"w": {**GOOD, "bits": True}}, "the form of 'w' must be of integers and a truth value, got .*"),
    "a length": ({"w": {**GOOD, "shape": [2, -3]}}, "the form of 'w' must be of integers and a truth value, got .*"),
    "packed scalar": ({"w": {**GOOD, "shape": []}}, "the form of 'w' must be of integers and a truth value, got .*"),
    "bits": ({"w": {**GOOD, "bits": 9}}, r"'w': bits must lie in \[2, 8\], got 9"),
    "other bits": ({"w": {**GOOD, "bits": 8}}, "'w': packed values must have the bytes of `columns` integers of 8 .*"),
    "columns": ({"w": {**GOOD, "shape": [2, 9]}}, "'w': packed values must have the bytes of .*"),
    "rows": ({"w": {**GOOD, "shape": [1, 3]}}, r"'w' must have the shape \[1, 3\] of its form, got \[2, 3\]"),
    "unpacked": ({"w": {**GOOD, "packed": False}}, "'w': packed values must have the bytes of .* for None"),
    "levels": ({"w": {**GOOD, "levels": [1.0, 0.0]}}, "the levels of 'w' must be ascending finite numbers, got .*"),
    "few levels": ({"w": {**GOOD, "levels": [0.0, 1.0]}}, "'w': levels must be 16 for 4 bits, got 2"),
    "another name": ({"v": GOOD}, "'v' must have values and a scale, got no scale"),
    "a name inside": ({"w": GOOD, "w/b": GOOD}, "'w/b' must have values and a scale, got no scale"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_metadata_is_refused_in_one_sentence(tmp_path, case):
    text, reason = DAMAGED[case]
    _write(tmp_path / "w", text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(DataError, match=rf"^\S+w is damaged: {reason}$"):
        load_quantized(tmp_path / "w")


WRONG = {
    "scale": ({"scale": np.zeros((1, 3), np.float32)}, "the scale of 'w' must be positive, got 0.0"),
    "infinite": ({"scale": np.full((1, 3), np.inf, np.float32)}, "the scale of 'w' must be positive, got inf"),
    "double": ({"scale": np.ones((1, 3))}, r"'w': scale must be float32, .* got float64\[1, 3\] for \[2, 3\]"),
    "blocks": ({"scale": np.ones((1, 2), np.float32)}, r"'w': scale must be float32, .*"),
    "zero": ({"zero_point": np.full((1, 3), 0.5, np.float32)}, "the zero point of 'w' must be whole numbers, got .*"),
    "part": ({"more": np.ones(1)}, "'w/more' must not be a part of another array, got one that is"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_break_an_invariant_are_refused_in_one_sentence(tmp_path, case):
    parts, reason = WRONG[case]
    _write(tmp_path / "w", json.dumps({"w": GOOD}), **parts)
    with pytest.raises(DataError, match=rf"^\S+w is damaged: {reason}$"):
        load_quantized(tmp_path / "w")


def test_integers_beyond_their_bits_are_refused(tmp_path):
    form = {"bits": 4, "shape": [2], "packed": False}
    arrays = {"w/values": np.array([8, 0], np.int8), "w/scale": np.ones(1, np.float32)}
    save_safetensors(tmp_path / "w", arrays, metadata={"quantization": json.dumps({"w": form})})
    with pytest.raises(DataError, match=r"the integers of 'w' must lie in \[-8, 8\), got 0 to 8$"):
        load_quantized(tmp_path / "w")


def test_a_file_of_plain_weights_is_refused(tmp_path):
    save_safetensors(tmp_path / "w", {"a": np.ones(1)})
    with pytest.raises(DataError, match=r"w must be a file of `save_quantized`, got no .quantization. in its .*$"):
        load_quantized(tmp_path / "w")


@pytest.mark.parametrize(("bits", "share"), [(8, 0.26), (4, 0.14)])
def test_bytes_of_over_a_million_parameters_with_the_header(tmp_path, bits, share):
    rng = np.random.default_rng(0)
    widths = (784, 800, 500, 10)
    params = {
        f"dense{i}": {"kernel": rng.standard_normal(pair, np.float32), "bias": np.zeros(pair[1], np.float32)}
        for i, pair in enumerate(itertools.pairwise(widths))
    }
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) > 1_000_000
    small = quant.quantize_tree(params, quantize=partial(quant.absmax_quantize, bits=bits, axis=-1))
    save_quantized(tmp_path / "small", small)
    save_safetensors(tmp_path / "float32", params)
    assert (tmp_path / "small").stat().st_size <= share * (tmp_path / "float32").stat().st_size
    assert digest(load_quantized(tmp_path / "small")) == digest(small)


def _write(path: Path, text: str, **parts: np.ndarray) -> None:
    """A file of one quantized kernel of 2 x 3 in 4 bits, whose metadata or parts may be wrong."""
    tensors = {"values": np.zeros((2, 2), np.uint8), "scale": np.ones((1, 3), np.float32), **parts}
    save_safetensors(path, {f"w/{name}": part for name, part in tensors.items()}, metadata={"quantization": text})
    assert len(load_safetensors(path)) == len(tensors)
