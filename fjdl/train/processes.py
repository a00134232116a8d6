"""A training of several processes: how they begin, and how what one of them has reaches the others.

Each process runs the same program on its own devices. Process 0 alone reads and writes the run directory.
"""

import hashlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

import fjdl
from fjdl import peers
from fjdl.data.source import PARTS, Source, Splits
from fjdl.peers import Line, Seat, open_line
from fjdl.peers.relay import relayed
from fjdl.peers.roll_call import free_server
from fjdl.train.json_files import plain
from fjdl.train.mesh import along
from fjdl.typing import PyTree

WITHIN = 60.0  # seconds in which all processes must come, and must have loaded their data
_PART = 2**26  # bytes that process 0 gives the others at a time


def join(seat: Seat, *, within: float = WITHIN, facts: Mapping[str, Any] | None = None) -> Line:
    """Brings this process together with the others of its training, before anything touches a device.

    The processes find one another at the port behind the address's own, at which JAX's coordinator listens. Raises
    `PeerLost` on every process, with one sentence, where some do not come within so many seconds and where `facts` or
    the versions of fjdl and JAX differ.
    """
    host, _, port = seat.address.rpartition(":")
    line = open_line(replace(seat, address=f"{host}:{int(port) + 1}"), within=within)
    peers.use(line)
    line.agree({**versions(), **(facts or {})}, within=within)
    _initialize(relayed(host, int(port)) if seat.index else seat.address, seat.count, seat.index)
    return line


def join_found(*, within: float = WITHIN) -> Line | None:
    """`join` of the processes of a TPU slice, or of a cluster that JAX knows, which say themselves how many they are.

    None where there is one process alone.
    """
    _initialize()
    if jax.process_count() == 1:
        return None
    server = free_server(jax.process_count()) if is_first() else None
    here = np.frombuffer((_here(server.getsockname()[1]) if server else "").encode().ljust(64), np.uint8)
    address = bytes(multihost_utils.broadcast_one_to_all(here)).decode().strip()
    seat = Seat(jax.process_index(), jax.process_count(), address)
    line = open_line(seat, within=within, server=server)
    peers.use(line)
    line.agree(versions(), within=within)
    return line


def versions() -> dict[str, str]:
    """What all processes must have alike."""
    return {"fjdl": fjdl.__version__, "jax": version("jax"), "jaxlib": version("jaxlib")}


def require_alike(*, config: Mapping[str, Any], within: float = WITHIN) -> None:
    """Raises `PeerLost` on every process unless all have the same config and as many devices of one kind.

    The config is described as in config.json: `config`, `sha256` and `arguments`; an argument that differs is named.
    """
    line = peers.current()
    if line is not None:
        devices = f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}"
        arguments = {f"--{name.replace('_', '-')}": value for name, value in plain(config["arguments"]).items()}
        file = {"config": config["config"], "a config with sha256": config["sha256"]}
        line.agree({**file, **arguments, "devices": devices}, within=within)


def require_same_data(splits: Splits, *, within: float = WITHIN) -> None:
    """Raises `PeerLost` on every process unless all have the same data."""
    line = peers.current()
    if line is not None:
        line.agree({"data": data_digest(splits)}, within=within)


def data_digest(splits: Splits) -> str:
    """The first digits of a sha256 of the examples in memory, and of three of each streamed part."""
    total = hashlib.sha256()
    for part in PARTS:
        source: Source = getattr(splits, part)
        rows = [0, source.length // 2, source.length - 1] if source.streamed else range(source.length)
        total.update(f"{part} {source.length};".encode())
        for name, array in sorted(source.element(np.asarray(rows)).items()):
            held = np.ascontiguousarray(array)
            total.update(f"{name} {held.dtype} {held.shape};".encode() + held.tobytes())
    return total.hexdigest()[:16]


def is_first() -> bool:
    """Whether this process reads and writes the run directory."""
    return jax.process_index() == 0


def told(find: Callable[[], Any]) -> Any:
    """What process 0 finds, which is of JSON, on every process; the others do not look."""
    line = peers.current()
    return find() if line is None else line.told(find() if line.first else None)


def all_said(value: Any) -> list[Any]:
    """What each process says, which is of JSON, in their order; all must call it."""
    line = peers.current()
    return [value] if line is None else line.exchange(value)


def first_said(value: Any) -> Any:
    """Of what the processes say, the first that is not None; all must call it."""
    return next((said for said in all_said(value) if said is not None), None)


def all_there() -> None:
    """Waits for all processes."""
    told(lambda: None)


def on_host(tree: PyTree) -> PyTree:
    """The tree with whole arrays on the host, also those whose parts are on devices of several processes.

    All processes must call it.
    """

    def whole(leaf: Any) -> np.ndarray:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))

    if jax.process_count() == 1:
        return jax.device_get(tree)
    with jax.transfer_guard("allow"):
        return jax.tree.map(whole, tree)


def from_first(read: Callable[[], PyTree], like: PyTree) -> PyTree:
    """The arrays on the host that `read` gives on process 0, on every process; the others read nothing.

    All processes must call it. Shapes and dtypes are those of `like`.
    """
    if jax.process_count() == 1:
        return read()
    leaves, structure = jax.tree.flatten(like)
    sizes = [leaf.size * np.dtype(leaf.dtype).itemsize for leaf in leaves]
    mine = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(read())) if is_first() else bytes(sum(sizes))
    content, ends = _given(mine), np.cumsum(sizes)
    pieces = [content[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    arrays = [np.frombuffer(piece, leaf.dtype).reshape(leaf.shape) for piece, leaf in zip(pieces, leaves, strict=True)]
    return jax.tree.unflatten(structure, arrays)


def local_rows(batch_size: int, mesh: Mesh) -> np.ndarray | None:
    """Which examples of a batch the devices of this process see, in their order; None where they see all."""
    places = along(mesh).addressable_devices_indices_map((batch_size,)).values()
    rows = np.unique(np.concatenate([np.arange(*index[0].indices(batch_size)) for index in places if index]))
    return None if len(rows) == batch_size else rows


def _given(content: bytes) -> bytes:
    """The bytes of process 0, of which the others have equally many; they travel over the devices."""
    found = []
    with jax.transfer_guard("allow"):
        for start in range(0, len(content), _PART):
            part = np.frombuffer(content[start : start + _PART], np.uint8)
            found.append(np.asarray(multihost_utils.broadcast_one_to_all(part)).astype(np.uint8).tobytes())
    return b"".join(found)


def _here(port: int) -> str:
    """The address of this machine for others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # nothing is sent: the system chooses the way out
        probe.connect(("192.0.2.1", 9))
        return f"{probe.getsockname()[0]}:{port}"


def _initialize(*seat: Any) -> None:
    # the stop requests of fjdl.signals take the place of JAX's own answer to SIGTERM, which would hide the signal
    jax.config.update("jax_enable_preemption_service", False)
    jax.distributed.initialize(*seat, heartbeat_timeout_seconds=100)
