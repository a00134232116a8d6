"""A line between the processes of one training: who is there, whether they agree, and who is lost, and why.

Every process holds a connection to process 0, which passes on what all say. JAX ends a process whose peer is gone with
a trace of its own, and does not say which peer; here each ends with one sentence and the exit status of `PeerLost`.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fjdl.errors import PeerLost

BEAT = 2.0  # seconds between signs of life
SILENCE = 30.0  # seconds without one after which a peer is lost; a process that ends is missed at once
GRACE = 2.0  # seconds in which a process that meets the error of its peer itself may say so
AGAIN = "the same command on all processes resumes"  # what helps where a process was lost
_LONGEST = 2**24  # bytes of a message


@dataclass(frozen=True)
class Seat:
    """The place of this process in a training of several."""

    index: int
    count: int
    address: str  # host:port where process 0 listens


class Link:
    """One connection, over which messages are lines of JSON."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection, self._lines = connection, connection.makefile("rb")
        self._sending = threading.Lock()

    def send(self, **message: Any) -> None:
        """Sends a message; what the other end no longer takes is dropped, since reading tells that it is gone."""
        with self._sending, contextlib.suppress(OSError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, *, within: float) -> dict[str, Any] | None:
        """The next message, None where the connection has ended; raises `TimeoutError`."""
        try:
            self._connection.settimeout(within)
            line = self._lines.readline(_LONGEST)
            found = json.loads(line) if line.endswith(b"\n") else None
        except TimeoutError:
            raise
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def close(self) -> None:
        """Ends the connection."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        with contextlib.suppress(OSError, ValueError):
            self._lines.close()


class Line:
    """The connections of one process, and what all processes say in turn."""

    def __init__(self, seat: Seat, links: dict[int, Link], *, lost: Callable[[str], None]) -> None:
        self.seat, self._links, self._lost = seat, links, lost
        self._news = threading.Condition()
        self._round = 0
        self._said: dict[int, dict[int, Any]] = {}  # by round and process
        self._heard: dict[int, Any] = {}  # by round
        self._closed = False
        self._listening = [
            threading.Thread(target=self._listen, args=each, name=f"peer {each[0]}", daemon=True)
            for each in links.items()
        ]
        for thread in self._listening:
            thread.start()
        threading.Thread(target=self._beat, name="signs of life", daemon=True).start()

    @property
    def first(self) -> bool:
        """Whether this is process 0, which writes."""
        return self.seat.index == 0

    def exchange(self, value: Any, *, within: float | None = None) -> list[Any]:
        """What each process says, in their order; all must call this equally often.

        Values are of JSON. Where one does not answer `within` so many seconds, all end as where it is lost.
        """
        self._round += 1
        if not self.first:
            self._links[0].send(round=self._round, value=value)
            return self._awaited(lambda: self._round in self._heard and self._heard.pop(self._round))
        with self._news:
            self._said.setdefault(self._round, {})[0] = value
        values = self._awaited(self._complete, within=within)
        for link in self._links.values():
            link.send(round=self._round, values=values)
        return values

    def told(self, value: Any = None) -> Any:
        """What process 0 says, on every process."""
        return self.exchange(value if self.first else None)[0]

    def agree(self, what: dict[str, Any], *, within: float | None = None) -> None:
        """Raises `PeerLost` on every process, with the same sentence, unless all say the same by each name."""
        values = self.exchange(what, within=within)
        for index, said in enumerate(values):
            for name, value in values[0].items():
                if said.get(name) != value:
                    raise PeerLost(
                        f"process {index} of {self.seat.count} has {name} {said.get(name)}, process 0 has {value}; "
                        "all must be started alike"
                    )

    def leave(self, *, why: str | None = None, status: int = 0) -> None:
        """Ends the connections; where a sentence says why, the others end with it too.

        A process that ends without this is killed or has crashed, as far as others can tell. Process 0, where JAX's
        coordinator is, then stays until the others have ended, for at most twice `GRACE`.
        """
        if self._closed:
            return
        self._closed = True
        for link in self._links.values():
            link.send(left=status, why=why)
        if self.first and why is not None:
            end = time.monotonic() + 2 * GRACE
            for thread in self._listening:
                thread.join(max(0.0, end - time.monotonic()))
        for link in self._links.values():
            link.close()

    def _complete(self) -> Any:
        said = self._said.get(self._round, {})
        if len(said) < self.seat.count:
            return None
        del self._said[self._round]
        return [said[index] for index in range(self.seat.count)]

    def _awaited(self, ready: Callable[[], Any], *, within: float | None = None) -> Any:
        end = None if within is None else time.monotonic() + within
        with self._news:
            while not (found := ready()):
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    silent = sorted(set(range(self.seat.count)) - self._said.get(self._round, {}).keys())
                    self._end(f"{named(silent, self.seat.count)} did not answer within {within:g} s; {AGAIN}")
                self._news.wait(left)
        return found

    def _listen(self, peer: int, link: Link) -> None:
        while True:
            try:
                message = link.receive(within=SILENCE)
            except TimeoutError:
                return self._gone(peer, f"has been silent for {SILENCE:g} s; {AGAIN}")
            if message is None:
                return self._gone(peer, f"ended without a word, killed or crashed; {AGAIN}")
            if "lost" in message:
                return self._end(message["lost"], grace=message.get("grace", 0.0))
            if message.get("left") is not None:
                self._farewell(peer, message)
                return None
            self._take(peer, message)

    def _take(self, peer: int, message: dict[str, Any]) -> None:
        with self._news:
            if "values" in message:
                self._heard[message["round"]] = message["values"]
            elif "round" in message:
                self._said.setdefault(message["round"], {})[peer] = message["value"]
            self._news.notify_all()

    def _farewell(self, peer: int, message: dict[str, Any]) -> None:
        if message["why"] is not None:
            self._gone(peer, f"ended with status {message['left']}: {message['why']}", grace=GRACE)

    def _gone(self, peer: int, how: str, *, grace: float = 0.0) -> None:
        self._end(f"process {peer} of {self.seat.count} {how}", grace=grace)

    def _end(self, sentence: str, *, grace: float = 0.0) -> None:
        if self._closed:
            return
        if self.first:
            for link in self._links.values():
                link.send(lost=sentence, grace=grace)
        time.sleep(grace)
        if not self._closed:
            self._lost(sentence)

    def _beat(self) -> None:
        while not self._closed:
            for link in self._links.values():
                link.send(beat=True)
            time.sleep(BEAT)


def ending() -> Callable[[str], None]:
    """What says a sentence and ends the process at once, from whatever thread; the system closes what it held.

    The sentence goes where stderr leads when this is called: while a checkpoint is written it leads elsewhere.
    """
    shown = None
    with contextlib.suppress(OSError):
        shown = os.dup(2)

    def end(sentence: str) -> None:
        with contextlib.suppress(OSError):
            if shown is not None:
                os.write(shown, f"fjdl: {sentence}\n".encode())
        os._exit(PeerLost.exit_status)

    return end


def named(indices: list[int], count: int) -> str:
    """The processes in words."""
    several = "processes" if len(indices) > 1 else "process"
    return f"{several} {', '.join(map(str, indices))} of {count}"


_line: Line | None = None


def use(line: Line | None) -> None:
    """Makes this the line of the process."""
    global _line
    _line = line


def current() -> Line | None:
    """The line of the process, None where it trains alone."""
    return _line


def leave(*, why: str | None = None, status: int = 0) -> None:
    """Ends the line of the process, where it has one, with what the others are told, see `Line.leave`."""
    if _line is not None:
        _line.leave(why=why, status=status)
