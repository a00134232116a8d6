"""Safetensors files against the library's own reader and writer, and files that lie."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from fjdl import quant
from fjdl.errors import DataError, StorageError
from fjdl.train.checkpoint import restore, save
from fjdl.transfer.files import DTYPES, load_safetensors, read_metadata, restored, save_safetensors
from fjdl.tree import digest

ONE = {"a": np.ones(2, np.float32)}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_comes_back_bit_for_bit(tmp_path, rng, dtype):
    array = rng.integers(0, 256, 6 * dtype.itemsize, np.uint8).view("?" if dtype == np.bool_ else dtype)[:6]
    array = array.reshape(2, 3) if dtype != np.bool_ else np.arange(6).reshape(2, 3) % 2 == 0
    save_safetensors(tmp_path / "w.safetensors", {"a": array})
    loaded = load_safetensors(tmp_path / "w.safetensors")["a"]
    assert (loaded.dtype, loaded.shape, loaded.tobytes()) == (dtype, (2, 3), array.tobytes())


def test_all_layouts_are_written_row_by_row_and_read_by_the_library(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = {
        "columns": np.asfortranarray(array), "transposed": array.T, "strided": array[:, ::2],
        "big": array.astype(">f4"), "scalar": np.array(2.0), "empty": np.zeros((0, 3), np.int8), "": array,
        "jax": jnp.asarray(array, jnp.bfloat16),
    }  # fmt: skip
    save_safetensors(tmp_path / "w.safetensors", tensors)
    for read in (load_safetensors, safetensors.numpy.load_file):
        loaded = read(tmp_path / "w.safetensors")
        assert loaded.keys() == tensors.keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(loaded[name], tensor)
            assert loaded[name].shape == tensor.shape
    assert loaded["jax"].dtype == ml_dtypes.bfloat16


def test_files_of_the_library_are_read_in_the_order_of_their_names(tmp_path):
    safetensors.numpy.save_file({"b": np.ones(2), "a": np.zeros(3, np.int8)}, tmp_path / "w")
    assert list(load_safetensors(tmp_path / "w")) == ["a", "b"]


def test_metadata_is_kept_and_equal_tensors_give_equal_bytes(tmp_path):
    texts = {"model": "résnet", "classes": '["a"]'}
    save_safetensors(tmp_path / "a", ONE, metadata=texts)
    assert read_metadata(tmp_path / "a") == texts
    save_safetensors(tmp_path / "b", {"x": np.ones(1), "y": np.ones(2)})
    save_safetensors(tmp_path / "c", {"y": np.ones(2), "x": np.ones(1)})
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    assert read_metadata(tmp_path / "b") == {}


SCHEMES = {
    "absmax": partial(quant.absmax_quantize, axis=-1),
    "zero-point": partial(quant.zeropoint_quantize, axis=-1),
    "four bits of groups": partial(quant.zeropoint_quantize, bits=4, axis=-1, group=2),
    "three bits": partial(quant.absmax_quantize, bits=3, axis=-1),
    "NF4": partial(quant.nf4_quantize, group=None),
    "float8": partial(quant.float8_quantize, axis=-1),
    "float8 of a wider range": partial(quant.float8_quantize, dtype=jnp.float8_e5m2),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_quantized_tree_comes_back_bit_for_bit_from_files_and_checkpoints(tmp_path, rng, scheme):
    params = {"conv": {"kernel": rng.standard_normal((4, 5)).astype(np.float32), "bias": np.ones(5, np.float32)}}
    make = partial(quant.quantize_tree, quantize=SCHEMES[scheme])
    tree, like = make(params), jax.eval_shape(make, params)
    save_safetensors(tmp_path / "w", tree)
    loaded = load_safetensors(tmp_path / "w")
    affine = scheme in ("zero-point", "four bits of groups")
    zero_points = ["conv/kernel/zero_point"] if affine else []
    assert sorted(loaded) == ["conv/bias", "conv/kernel/scale", "conv/kernel/values", *zero_points]
    assert loaded["conv/kernel/values"].dtype == like["conv"]["kernel"].values.dtype
    save(tmp_path / "checkpoints", 3, tree)
    for back in (restored(loaded, like), restore(tmp_path / "checkpoints", like, step=3)):
        assert jax.tree.structure(back) == jax.tree.structure(tree)
        assert digest(back) == digest(tree)
        np.testing.assert_array_equal(
            quant.dequantize_tree(back)["conv"]["kernel"], quant.dequantize_tree(tree)["conv"]["kernel"]
        )


def test_what_does_not_fit_the_tree_is_named(tmp_path):
    like = {"a": np.zeros(2, np.float32), "b": [np.zeros(1, np.int8)]}
    assert digest(restored({"a": like["a"], "b/0": like["b"][0]}, like)) == digest(like)
    with pytest.raises(
        DataError, match=r"^the arrays must be those of the tree, got too few or too many: \['b/0', 'c'\]$"
    ):
        restored({"a": like["a"], "c": like["a"]}, like)
    with pytest.raises(DataError, match=r"^tensor 'b/0' must be int8\[1\], got float32\[2\]$"):
        restored({"a": like["a"], "b/0": like["a"]}, like)


def test_a_file_that_is_there_stays_unless_it_may_be_replaced(tmp_path):
    path = tmp_path / "new" / "folder" / "w"
    save_safetensors(path, ONE)
    with pytest.raises(StorageError, match=r"w must not exist unless replace=True, got a file"):
        save_safetensors(path, {"b": np.ones(1)})
    assert list(load_safetensors(path)) == ["a"]
    save_safetensors(path, {"b": np.ones(1)}, replace=True)
    assert list(load_safetensors(path)) == ["b"]
    assert [file.name for file in path.parent.iterdir()] == ["w"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    save_safetensors(tmp_path / "w", ONE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="w cannot be written: No space left on device"):
        save_safetensors(tmp_path / "w", {"b": np.ones(1)}, replace=True)
    assert list(load_safetensors(tmp_path / "w")) == ["a"]
    assert [file.name for file in tmp_path.iterdir()] == ["w"]
    with pytest.raises(StorageError, match="cannot be written"):
        save_safetensors(tmp_path / "w" / "below", ONE)


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({1: np.ones(1)}, None, "names of tensors must be strings other than '__metadata__', got 1"),
        ({"__metadata__": np.ones(1)}, None, "got '__metadata__'"),
        ({"a": np.ones(1, complex)}, None, "tensor 'a' must have a dtype of the format, got complex128"),
        ({"a": np.array(["x"])}, None, "tensor 'a' must have a dtype of the format, got <U1"),
        ({"a": np.array([None])}, None, "got object"),
        ({"a": None}, None, "tensor 'a' must be an array, got None"),
        ({"a": {"b": np.ones(1)}, "a/b": np.ones(1)}, None, "names of tensors must differ, got 'a/b' twice"),
        (ONE, {"epoch": 3}, "metadata must map strings to strings"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path, tensors, metadata, message):
    with pytest.raises(ValueError, match=message):
        save_safetensors(tmp_path / "w", tensors, metadata=metadata)
    assert list(tmp_path.iterdir()) == []


def lie(header: object, content: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def entry(kind: str, shape: list[int], end: int, start: int = 0) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


LIES = [
    b"", b"1234567", b"\xff" * 8 + b"{}", lie(b"{}", b"xx"), lie(b"[]"), lie(b"{"), lie({"a": entry("F32", [10], 40)}),
    lie({"a": entry("F32", [2], 4)}, bytes(4)), lie({"a": entry("F32", [2**62, 2**62], 4)}, bytes(4)),
    lie({"a": entry("F32", [1], 4), "b": entry("F32", [1], 4)}, bytes(4)),
    lie({"a": entry("F32", [1], 8, 4)}, bytes(8)), lie({"a": entry("O", [1], 8)}, bytes(8)),
    lie({"a": entry("F32", [-1], 4)}, bytes(4)),
]  # fmt: skip


@pytest.mark.parametrize("data", LIES, ids=range(len(LIES)))
def test_a_file_that_lies_is_a_data_error_of_one_sentence(tmp_path, data):
    (tmp_path / "w").write_bytes(data)
    for read in (load_safetensors, read_metadata):
        with pytest.raises(DataError, match="w must be a readable safetensors file, got ") as caught:
            read(tmp_path / "w")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["absent", "."])
def test_what_is_not_a_file_is_a_data_error(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataError, match="must be a readable safetensors file"):
        load_safetensors(tmp_path / path)


def test_a_dtype_without_a_numpy_array_is_named(tmp_path):
    (tmp_path / "w").write_bytes(lie({"a": entry("F8_E8M0", [2], 2)}, bytes(2)))
    with pytest.raises(DataError, match=r"tensors must have one of the types BOOL, .*, got F8_E8M0"):
        load_safetensors(tmp_path / "w")
