"""A checkpoint that does not fit the tree that is asked for."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.errors import CheckpointError
from fjdl.train import checkpoint
from tests.train.trees import Pair, small


def test_a_mismatch_is_a_table_of_path_saved_and_wanted(tmp_path: Path) -> None:
    checkpoint.save(
        tmp_path, 5, {"params": {"kernel": np.ones((3, 4), np.float32), "old": np.ones(1), "same": np.ones(2)}}
    )
    wanted = {"params": {"kernal": np.ones((3, 4), np.float32), "old": np.ones(1, np.int8), "same": np.ones(2)}}
    with pytest.raises(CheckpointError) as caught:
        checkpoint.restore(tmp_path, wanted, step=5)
    title, *table = str(caught.value).splitlines()
    assert title == f"{tmp_path / '5'} does not fit:"
    assert table == [
        "path          | saved                          | wanted",
        "params/kernal | nothing, closest params/kernel | float32 (3, 4)",
        "params/old    | float64 (1)                    | int8 (1)",
        "params/kernel | float32 (3, 4)                 | nothing",
    ]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.int8, jnp.float16])
def test_another_dtype_or_shape_is_refused_never_cast(tmp_path: Path, dtype: Any) -> None:
    checkpoint.save(tmp_path, 0, {"w": np.ones((3, 4), np.float32)})
    for shape, wanted in (((3, 4), dtype), ((4, 3), np.float32), ((12,), np.float32)):
        with pytest.raises(CheckpointError, match=r"w .* float32 \(3, 4\) \| "):
            checkpoint.restore(tmp_path, {"w": jax.ShapeDtypeStruct(shape, wanted)}, step=0)


def test_float64_is_refused_where_jax_would_halve_it(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 0, {"w": np.ones(2)})
    with pytest.raises(CheckpointError, match=r"float64 \(2\) \| float32 \(2\)"):
        checkpoint.restore(tmp_path, {"w": jax.ShapeDtypeStruct((2,), np.float64)}, step=0)


def test_what_orbax_cannot_read_is_a_checkpoint_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        raise ValueError("unknown driver")

    checkpoint.save(tmp_path, 0, small())
    monkeypatch.setattr(checkpoint, "load_arrays", fail)
    with pytest.raises(CheckpointError, match="0 cannot be read: unknown driver"):
        checkpoint.restore(tmp_path, small(), step=0)


def test_leaves_are_matched_by_path_not_by_order(tmp_path: Path) -> None:
    class Swapped(NamedTuple):
        moments: Any
        count: Any

    checkpoint.save(tmp_path, 0, Pair(np.array(1), np.array(2)))
    restored = checkpoint.restore(tmp_path, Swapped(np.array(0), np.array(0)), step=0)
    assert (int(restored.count), int(restored.moments)) == (1, 2)


def test_a_format_of_the_future_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as future:
        future.setattr(checkpoint, "_FORMAT", 2)
        checkpoint.save(tmp_path, 0, small())
    with pytest.raises(CheckpointError, match="has format 2, this version reads 1"):
        checkpoint.restore(tmp_path, small(), step=0)
