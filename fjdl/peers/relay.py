"""A way to JAX's coordinator that outlives it for some seconds.

JAX aborts a process at the instant at which its coordinator on process 0 is gone (jaxlib 0.10.2 and 0.12.0), most often
before this process has said why. Behind a relay it learns that later, when the process has ended by itself.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

LATE = 10.0  # seconds after which the end of the coordinator is passed on
_PART = 2**16  # bytes


def relayed(host: str, port: int, *, late: float = LATE) -> str:
    """The address, host:port on this machine, of a relay to that one; its threads end with the process."""
    server = socket.create_server(("127.0.0.1", 0))
    _thread(_serve, server, (host, port), late)
    return f"127.0.0.1:{server.getsockname()[1]}"


def _serve(server: socket.socket, target: tuple[str, int], late: float) -> None:
    while True:
        near, _ = server.accept()
        _thread(_connect, near, target, late)


def _connect(near: socket.socket, target: tuple[str, int], late: float) -> None:
    """Joins a connection to the target; where nobody listens there yet it ends, and whoever made it tries again."""
    with near, contextlib.suppress(OSError), socket.create_connection(target, timeout=5.0) as far:
        far.settimeout(None)
        back = _thread(_pass, far, near, late)
        _pass(near, far, 0.0)
        back.join()


def _pass(source: socket.socket, sink: socket.socket, late: float) -> None:
    """Passes bytes on until the source ends, and its end so many seconds later."""
    with contextlib.suppress(OSError):
        while part := source.recv(_PART):
            sink.sendall(part)
    time.sleep(late)
    for end in (sink, source):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _thread(run: Callable[..., None], *args: Any) -> threading.Thread:
    thread = threading.Thread(target=run, args=args, name="relay", daemon=True)
    thread.start()
    return thread
