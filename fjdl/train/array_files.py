"""The arrays of a checkpoint as files, written and read by orbax, whose threads are kept from stderr when they fail."""

import contextlib
import json
import math
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import jax
import numpy as np

DTYPES = frozenset(  # that the format has a name for
    {"bool", "bfloat16", "float16", "float32", "float64", "complex64", "complex128", "float4_e2m1fn", "float8_e3m4"}
    | {"int2", "int4", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float8_e8m0fnu"}
    | {f"float8_{kind}" for kind in ("e4m3b11fnuz", "e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz")}
)
_SECONDS = 2.0  # that the threads of a failed save may take to end


def save_arrays(path: Path, arrays: Sequence[np.ndarray]) -> None:
    """Writes the arrays, in their order, into the new folder `path`."""
    with _held_back_errors(), _orbax() as orbax:
        orbax.save(str(path), {f"{index:06d}": array for index, array in enumerate(arrays)})


def load_arrays(path: Path) -> list[np.ndarray]:
    """The arrays that `save_arrays` wrote there."""
    saved = load_tree(path)
    return [saved[key] for key in sorted(saved)]


def load_tree(path: Path) -> Any:
    """The tree of arrays that orbax wrote there, as nested dictionaries on the host."""
    with _orbax() as orbax:
        return orbax.restore(str(path))


def absent_arrays(path: Path, shapes: Sequence[Sequence[int]]) -> list[int]:
    """The numbers of those arrays of these shapes of which a part is missing there, by the names of what is stored."""
    import tensorstore

    if not (path / "_METADATA").exists():  # which says which arrays there are
        return [*range(len(shapes))]
    files = {"driver": "file", "path": f"{path.absolute()}/"}  # no URL, in which some characters mean something else
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": files}).result()
    stored = Counter(name.decode().partition("/")[0] for name in store.list().result())
    headers = [store.read(f"{index:06d}/.zarray") for index in range(len(shapes))]

    def parts(header: Any, shape: Sequence[int]) -> int:
        text = header.result().value
        chunks = json.loads(text)["chunks"] if text else shape
        return math.prod(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True))

    wanted = [parts(*pair) + 1 for pair in zip(headers, shapes, strict=True)]  # and the header
    return [index for index, count in enumerate(wanted) if stored[f"{index:06d}"] != count]


def _orbax() -> Any:
    """Orbax, loaded on first use, waiting for no other process; its `v1` interface would, whatever its options say."""
    import orbax.checkpoint as ocp

    index = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"process{index}"
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


@contextlib.contextmanager
def _held_back_errors() -> Iterator[None]:
    """What is written to stderr inside the block comes after it, or never where the block fails: the error says why.

    With `FJDL_TRACEBACK` in the environment everything is shown as it comes.
    """
    if os.environ.get("FJDL_TRACEBACK") or not _is_open(2):
        yield
        return
    before, ours, shown = set(threading.enumerate()), sys.stderr, os.dup(2)
    with _memory() as file, open(file.fileno(), "w", closefd=False, errors="replace") as text:
        os.dup2(file.fileno(), 2)
        sys.stderr = text
        report = _leave_out_late_writes()
        try:
            yield
            sys.unraisablehook = report
            text.flush()
            file.seek(0)
            os.write(shown, file.read())
        except Exception:
            for thread in set(threading.enumerate()) - before:
                thread.join(_SECONDS)
            raise
        finally:
            sys.stderr = ours
            os.dup2(shown, 2)
            os.close(shown)


def _leave_out_late_writes() -> Callable[[Any], object]:
    """From now on a write that ends after its save has failed is not reported; the result is how it was before.

    TensorStore (0.1.86) writes on in threads of its own and tells each end to an event loop, which is closed by then.
    """
    report = sys.unraisablehook

    def others(unraisable: Any) -> None:
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            report(unraisable)

    sys.unraisablehook = others
    return report


def _memory() -> BinaryIO:
    """A file that no full disk can refuse, where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()  # type: ignore[return-value]


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
