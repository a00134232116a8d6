"""State dictionaries of PyTorch against PyTorch itself, and files that would do more than hold numbers."""

import io
import os
import pickle
import re
import sys
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fjdl.errors import DataError
from fjdl.transfer.legacy import load_torch_pickle
from tests.support import require_data

FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "chain"])
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
    torch.bool, torch.complex64, torch.complex128,
]  # fmt: skip


def save(folder: Path, value: Any, *, zipped: bool = True) -> Path:
    torch.save(value, folder / "w.pt", _use_new_zipfile_serialization=zipped)
    return folder / "w.pt"


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))


@FORMS
def test_a_state_dict_is_what_torch_saved(tmp_path, zipped):
    state = model().state_dict()
    loaded = load_torch_pickle(save(tmp_path, state, zipped=zipped))
    assert list(loaded) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(loaded[name], tensor.numpy())
        assert (loaded[name].dtype, loaded[name].shape) == (tensor.numpy().dtype, tuple(tensor.shape))
        assert not loaded[name].flags.writeable
        assert loaded[name].flags.aligned


@FORMS
def test_every_dtype_and_view_is_what_torch_has(tmp_path, zipped):
    base = torch.arange(24).reshape(2, 3, 4)
    tensors = {str(dtype): (base % 2 == 0 if dtype == torch.bool else base.to(dtype)) for dtype in DTYPES}
    tensors |= {"transposed": base.permute(2, 0, 1), "part": base[1:, ::2, 1:3], "scalar": torch.tensor(7.0)}
    tensors |= {"empty": torch.zeros(0, 3), "row": base[0, 0], "one": torch.zeros(1, 1).expand(1, 1)}
    loaded = load_torch_pickle(save(tmp_path, tensors, zipped=zipped))
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(loaded[name], tensor.numpy(), strict=True)
    half = load_torch_pickle(save(tmp_path, {"x": torch.tensor([1.5, -2.0]).bfloat16()}, zipped=zipped))["x"]
    assert str(half.dtype) == "bfloat16"
    np.testing.assert_array_equal(half.astype(np.float32), [1.5, -2.0])


@FORMS
def test_tied_weights_share_their_memory(tmp_path, zipped):
    weight = torch.arange(6.0)
    loaded = load_torch_pickle(save(tmp_path, {"a": weight, "b": weight[2:]}, zipped=zipped))
    assert np.shares_memory(loaded["a"], loaded["b"])
    np.testing.assert_array_equal(loaded["b"], [2, 3, 4, 5])


@FORMS
def test_a_checkpoint_keeps_its_nesting_and_its_plain_values(tmp_path, zipped):
    betas = (0.8, 0.9)
    groups = [{"lr": 0.1, "betas": betas, "params": [0]}, {"betas": betas, "params": [1]}]
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": groups}
    plain = {"epoch": 3, "best": 0.5, "name": "x", "done": True, "none": None, "sizes": [1, (2, 3)]}
    value = {"state_dict": model().state_dict(), "optimizer": optimizer, **plain}
    loaded = load_torch_pickle(save(tmp_path, value, zipped=zipped))
    assert {name: loaded[name] for name in plain} == plain
    assert loaded["optimizer"]["param_groups"] == groups
    np.testing.assert_array_equal(loaded["optimizer"]["state"][0]["exp_avg"], [1, 1])
    assert loaded["state_dict"]["0.weight"].shape == (4, 3, 3, 3)


def test_a_prefix_is_taken_off_at_every_depth(tmp_path):
    path = save(tmp_path, {"state_dict": OrderedDict({"module.a": torch.ones(1), "b": torch.zeros(1)}), "module.": 1})
    assert list(load_torch_pickle(path, strip="module.")["state_dict"]) == ["a", "b"]
    assert list(load_torch_pickle(path)["state_dict"]) == ["module.a", "b"]
    path = save(tmp_path, {"module.a": torch.ones(1), "a": torch.zeros(1)})
    with pytest.raises(DataError, match=r"keys must differ without 'module\.', got two that are equal"):
        load_torch_pickle(path, strip="module.")


def test_the_published_resnet20_is_read(tmp_path):
    path = require_data("pretrained-resnet20-cifar10") / "resnet20-12fca82f.th"
    loaded = load_torch_pickle(path, strip="module.")
    state = loaded["state_dict"]
    assert sum(array.size for array in state.values()) == 271_098
    assert (state["conv1.weight"].shape, state["linear.weight"].shape) == ((16, 3, 3, 3), (10, 64))
    expected = torch.load(path, map_location="cpu", weights_only=False)["state_dict"]
    for name, tensor in expected.items():
        np.testing.assert_array_equal(state[name.removeprefix("module.")], tensor.numpy())


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


REFUSED = [
    (Command(), r"the global posix\._exit, which is refused"),
    ({"a": Command()}, r"the global posix\._exit"),
    ({"a": torch.nn.Parameter(torch.ones(1))}, r"torch\._utils\._rebuild_parameter"),
    ({"a": torch.Size([1])}, r"the global torch\.Size"),
    ({"a": np.ones(1)}, r"the global numpy\._core\.multiarray\._reconstruct"),
    ({"a": torch.ones(2, dtype=torch.uint16)}, r"torch\._utils\._rebuild_tensor_v3"),
    ({"a": torch.ones(2).to_sparse()}, r"torch\._utils\._rebuild_sparse_tensor"),
    (torch.ones(1), "must hold a dictionary, got _Tensor"),
    ([1], "must hold a dictionary, got list"),
    ({"a": torch.ones(1).expand(5)}, "a tensor must lie within its 1 elements, got one beyond them"),
    ({"a": torch.tensor([1j]).conj()}, "lazily conjugated"),
]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "chain"])
@pytest.mark.parametrize(("value", "message"), REFUSED, ids=range(len(REFUSED)))
def test_anything_but_a_dictionary_of_tensors_is_refused(tmp_path, value, message, zipped):
    with pytest.raises(DataError, match=message) as caught:
        load_torch_pickle(save(tmp_path, value, zipped=zipped))
    assert str(tmp_path / "w.pt") in str(caught.value)


def test_torch_is_not_needed(tmp_path, monkeypatch):
    path = save(tmp_path, {"a": torch.ones(2)})
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.setitem(sys.modules, name, None)
    np.testing.assert_array_equal(load_torch_pickle(path)["a"], [1, 1])


def archive(members: dict[str, bytes], **options: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **options) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def tensor(
    *, count: str = "K\x02", offset: str = "K\x00", shape: str = "K\x02\x85", strides: str = "K\x01\x85"
) -> bytes:
    """The pickle `{"a": tensor}` with sizes of our own, a storage `0` of floats."""
    storage = "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + count + "tQ"
    arguments = f"({storage}{offset}{shape}{strides}\x89ccollections\nOrderedDict\n)Rt"
    text = f"\x80\x02}}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n{arguments}Rs."
    return text.encode("latin-1")


def of(pickled: bytes, numbers: bytes = np.float32([1, 2]).tobytes(), **more: bytes) -> bytes:
    return archive({"w/data.pkl": pickled, "w/data/0": numbers, "w/byteorder": b"little", **more})


LARGE = "\x8a\x08" + "\xff" * 7 + "\x0f"  # 2^60 - 1

BROKEN = [
    (b"", "the end of the file before the end of the pickle"),
    (b"PK\x03\x04", "must be a readable file of PyTorch, got File is not a zip file"),
    (b"\x93NUMPY\x01\x00", "must not need the opcode STACK_GLOBAL"),
    (pickle.dumps(1, protocol=2) * 5, "PyTorch's magic number"),
    (archive({"w/x": b""}), "the archive must hold one data.pkl, got 0"),
    (archive({"w/data.pkl": b"", "v/data.pkl": b""}), "the archive must hold one data.pkl, got 2"),
    (archive({"w/data.pkl": tensor()}, compression=zipfile.ZIP_DEFLATED), "must be stored under different names"),
    (archive({"w/data.pkl": tensor(), "w/byteorder": b"big"}), "must be little-endian"),
    (archive({"w/data.pkl": tensor()}), "must be a readable file of PyTorch, got .*w/data/0"),
    (of(tensor(), b"123"), "storage 0 must have 8 bytes, got 3"),
    (of(tensor(count=LARGE)), "storage 0 must have 4611686018427387900 bytes, got 8"),
    (of(tensor(count="\x8a\x08" + "\xff" * 8)), "a persistent id that is not a storage"),
    (of(tensor(shape="K\x03\x85")), "must lie within its 2 elements"),
    (of(tensor(offset="K\x01")), "must lie within its 2 elements"),
    (of(tensor(strides="K\x02\x85")), "must lie within its 2 elements"),
    (of(tensor(shape="K\x03\x85", strides="K\x00\x85")), "must lie within its 2 elements"),
    (of(tensor(shape=LARGE + LARGE + "\x86", strides="K\x00K\x00\x86")), "must lie within its 2 elements"),
    (of(tensor(shape=LARGE + "K\x00\x86", strides="K\x00K\x00\x86")), "must lie within its 2 elements"),
    (of(tensor(strides="J\xff\xff\xff\xff\x85")), "not natural numbers"),
    (of(tensor(strides=")")), "without a storage, an offset or a stride for each axis"),
    (of(tensor(shape="]")), "not natural numbers"),
    (of(tensor(offset="\x89")), "without a storage, an offset"),
    (of(b"\x80\x02}q\x00K\x01h\x00s."), "nested at most 64 deep"),
    (of(b"\x80\x02}K\x01](ccollections\nOrderedDict\nes."), "values must be tensors, numbers or text, got function"),
    (of(b"\x80\x02}K\x01ccollections\nOrderedDict\nK\x01\x85Rs."), "takes 0 positional arguments"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_file_that_lies_is_a_data_error(tmp_path, data, message):
    (tmp_path / "w").write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        load_torch_pickle(tmp_path / "w")
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_the_sizes_of_our_own_are_read_where_they_fit(tmp_path):
    (tmp_path / "w").write_bytes(of(tensor()))
    np.testing.assert_array_equal(load_torch_pickle(tmp_path / "w")["a"], [1, 2])
    shape = "K\x01K\x02\x86"
    (tmp_path / "w").write_bytes(of(tensor(shape=shape, strides=LARGE + "K\x01\x86")))
    np.testing.assert_array_equal(load_torch_pickle(tmp_path / "w")["a"], [[1, 2]])


def test_two_members_of_one_name_are_refused(tmp_path):
    data = archive({"w/data.pkl": tensor(), "w/data.pkm": tensor()})
    (tmp_path / "w").write_bytes(data.replace(b"data.pkm", b"data.pkl"))
    with pytest.raises(DataError, match="under different names"):
        load_torch_pickle(tmp_path / "w")


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """Ten names for the same 4096 bytes would make a file larger than it is."""
    data = archive({"w/data.pkl": tensor(), "w/data/0": bytes(4096)})
    last, end = data.rindex(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    more = b"".join(data[last:end].replace(b"data/0", b"data/%d" % number) for number in range(1, 10))
    count, size = (11).to_bytes(2, "little"), end + len(more) - data.index(b"PK\x01\x02")
    tail = data[end : end + 8] + count + count + size.to_bytes(4, "little") + data[end + 16 :]
    (tmp_path / "w").write_bytes(data[:end] + more + tail)
    with pytest.raises(DataError, match="must not overlap, got more bytes than the file has"):
        load_torch_pickle(tmp_path / "w")


CHAIN = [
    (lambda data: data[:-1], r"storage \d+ must have 8 bytes, got 7"),
    (lambda data: data + b"x", "must end after its last storage, got more"),
    (lambda data: data[:-16] + (3).to_bytes(8, "little") + data[-8:], r"storage \d+ must have 2 elements, got 3"),
    (lambda data: re.sub(rb"(little_endianq.)\x88", b"\\1\x89", data), "must be little-endian"),
    (lambda data: data.replace(b"M\xe9\x03.", b"M\xea\x03.", 1), "magic number and protocol 1001"),
]


@pytest.mark.parametrize(("change", "message"), CHAIN, ids=range(len(CHAIN)))
def test_a_damaged_chain_is_a_data_error(tmp_path, change, message):
    path = save(tmp_path, {"a": torch.ones(2)}, zipped=False)
    data = path.read_bytes()
    assert change(data) != data
    path.write_bytes(change(data))
    with pytest.raises(DataError, match=message):
        load_torch_pickle(path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "chain"])
def test_random_damage_is_a_data_error_or_a_dictionary(tmp_path, rng, zipped):
    path = save(tmp_path, {"a": torch.ones(2, 3), "n": [1, "x"]}, zipped=zipped)
    data = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data)
        for position in rng.integers(0, len(damaged), 3):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        with suppress(DataError):
            assert isinstance(load_torch_pickle(path), dict)


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match="must be a readable file of PyTorch"):
            load_torch_pickle(path)
