"""How long a thread has been making programs: tracing, lowering and compiling them, or reading them from the cache."""

import math
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import jax

_EVENTS = "/jax/core/compile/"  # of JAX 0.10.2 and 0.12.0: jaxpr_trace, jaxpr_to_mlir_module and backend_compile


class CompileTime:
    """Counts inside its block, for the thread that entered it."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._thread = threading.get_ident()

    def seconds(self) -> float:
        """The time up to now; what is compiled inside of something else counts once."""
        return total_length(self._spans)

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        jax.monitoring.register_event_time_span_listener(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        jax.monitoring.unregister_event_time_span_listener(self._listen)

    def _listen(self, event: str, start_time: float, end_time: float, **_: Any) -> None:
        if event.startswith(_EVENTS) and threading.get_ident() == self._thread:
            self._spans.append((start_time, end_time))


def total_length(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of spans of a line.

    >>> total_length([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    total, reached = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
