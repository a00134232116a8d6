"""Processes of one training: how they find one another, agree, and miss one that is gone.

Sockets and threads of the standard library stand here, and no JAX. May import floor 0.

>>> from fjdl.peers import seat_of
>>> seat_of({"JAX_COORDINATOR_ADDRESS": "10.0.0.1:8476", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "1"}).index
1
"""

from fjdl.peers.line import Line, Seat, current, leave, use
from fjdl.peers.roll_call import on_tpu, open_line, seat_of

__all__ = ["Line", "Seat", "current", "leave", "on_tpu", "open_line", "seat_of", "use"]


def __dir__() -> list[str]:
    return __all__
