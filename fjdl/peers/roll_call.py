"""How the processes of one training find one another: process 0 waits for the others, for a stated time."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fjdl.errors import PeerLost, UsageError
from fjdl.peers.line import Line, Link, Seat, ending, named

PORTS = range(8480, 8491)  # of process 0 on a slice, where a network of one's own lets 8470 to 8490 through
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def seat_of(environment: Mapping[str, str]) -> Seat | None:
    """The place of this process that the three variables of `VARIABLES` name, or None where none of them is set.

    Raises `UsageError` where one is missing or no number, and for a process outside of the count.

    >>> seat_of({"JAX_COORDINATOR_ADDRESS": "10.0.0.1:8476", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"})
    Seat(index=1, count=2, address='10.0.0.1:8476')
    """
    given = {name: environment[name] for name in VARIABLES if environment.get(name)}
    if not given:
        return None
    missing = [name for name in VARIABLES if name not in given]
    if missing:
        raise UsageError(f"{', '.join(VARIABLES)} must be set together, but {', '.join(missing)} is not")
    address, count, index = (given[name] for name in VARIABLES)
    if not (count.isdecimal() and index.isdecimal() and int(index) < int(count)):
        raise UsageError(f"{VARIABLES[2]} must be a number below {VARIABLES[1]}, got {index!r} and {count!r}")
    if not address.rpartition(":")[2].isdecimal():
        raise UsageError(f"{VARIABLES[0]} must be host:port of process 0, got {address!r}")
    return Seat(int(index), int(count), address)


def on_tpu() -> bool:
    """Whether this machine has TPUs and JAX may use them; no device is touched."""
    allowed = os.environ.get("JAX_PLATFORMS", "tpu").split(",")
    return "tpu" in allowed and any([*Path("/dev").glob("accel*"), *Path("/dev/vfio").glob("[0-9]*")])


def open_line(
    seat: Seat,
    *,
    within: float = 60.0,
    lost: Callable[[str], None] | None = None,
    server: socket.socket | None = None,
) -> Line:
    """The line of all processes, when every one of them has come.

    Process 0 listens at the port of the seat's address, or at `server`, which it may have opened before. `lost` is
    called with a sentence, from a thread, when a peer is lost later; without it the process says it and ends. Raises
    `PeerLost` on every process that has come, naming those that have not within so many seconds.
    """
    lost = lost or ending()
    if seat.index:
        return Line(seat, {0: _greeted(seat, within)}, lost=lost)
    with server or _server(seat) as listening:
        return Line(seat, _welcomed(seat, listening, within), lost=lost)


def free_server(count: int, *, ports: Sequence[int] = PORTS) -> socket.socket:
    """A server of process 0 at the first of these ports that is free; raises `PeerLost` where none is."""
    for port in ports:
        with contextlib.suppress(OSError):
            return socket.create_server(("", port), backlog=count)
    raise PeerLost(f"process 0 of {count} needs a free port of {ports[0]} to {ports[-1]}, and all are in use")


def _server(seat: Seat) -> socket.socket:
    try:
        return socket.create_server(("", _host_and_port(seat.address)[1]), backlog=seat.count)
    except OSError as error:
        raise PeerLost(f"process 0 of {seat.count} cannot listen at {seat.address}: {error.strerror}") from error


def _welcomed(seat: Seat, server: socket.socket, within: float) -> dict[int, Link]:
    """Process 0's links to all others."""
    end, links = time.monotonic() + within, dict[int, Link]()
    while len(links) < seat.count - 1:
        server.settimeout(max(0.01, end - time.monotonic()))
        try:
            connection, _ = server.accept()
        except TimeoutError:
            absent = sorted(set(range(1, seat.count)) - links.keys())
            _dismiss(links, f"{named(absent, seat.count)} did not come to {seat.address} within {within:g} s")
        else:
            _admit(seat, Link(connection), links)
    for link in links.values():
        link.send(welcome=True)
    return links


def _admit(seat: Seat, link: Link, links: dict[int, Link]) -> None:
    hello = None
    with contextlib.suppress(TimeoutError):
        hello = link.receive(within=5.0)
    index, count = (hello or {}).get("index"), (hello or {}).get("count")
    if not isinstance(index, int):
        link.close()
        return
    if count != seat.count:
        sentence = f"process {index} says that {count} processes take part, process 0 that {seat.count} do"
        _dismiss({**links, -1: link}, sentence)
    if index in links or not 0 < index < seat.count:
        _dismiss({**links, -1: link}, f"two processes say that they are process {index} of {seat.count}")
    links[index] = link


def _dismiss(links: dict[int, Link], sentence: str) -> None:
    for link in links.values():
        link.send(lost=sentence)
        link.close()
    raise PeerLost(sentence)


def _greeted(seat: Seat, within: float) -> Link:
    """Another process's link to process 0, which it may be ahead of."""
    end, missing = time.monotonic() + within, f"process 0 of {seat.count} did not answer at {seat.address}"
    while True:
        try:
            connection = socket.create_connection(_host_and_port(seat.address), timeout=5.0)
            break
        except OSError:
            if time.monotonic() > end:
                raise PeerLost(f"{missing} within {within:g} s") from None
            time.sleep(0.1)
    link = Link(connection)
    link.send(index=seat.index, count=seat.count)
    try:
        answer = link.receive(within=within + 5)
    except TimeoutError:
        answer = None
    if answer is None or not answer.get("welcome"):
        link.close()
        raise PeerLost((answer or {}).get("lost", f"{missing} within {within:g} s"))
    return link


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
