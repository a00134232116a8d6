"""How many steps are handed to the devices at once, so that a request to stop is granted within seconds."""

import time

from fjdl.signals import StopRequest
from fjdl.train import processes

SECONDS = 2.0  # of steps that nothing interrupts


class Pace:
    """Cuts an epoch where it is asked to, and where its steps so far say that so many seconds will be over.

    What is computed does not depend on where an epoch is cut. Of several processes all cut at the same step, where
    process 0 would, and stop at the same step when one of them is asked to.
    """

    def __init__(self, stop: StopRequest, *, seconds: float = SECONDS) -> None:
        self._stop, self._seconds, self._steps, self._warm = stop, seconds, 1, False
        self._start = self._from = 0.0
        self.number: int | None = None  # of the signal that ended the training, on any process

    def until(self, step: int, end: int) -> int | None:
        """The step before which nothing may interrupt from `step` on, at most `end`; None to stop here."""
        said = processes.all_said([self._stop.number, self._steps])
        self.number = next((number for number, _ in said if number is not None), None)
        if self.number is not None:
            return None
        self._from, self._start = step, time.monotonic()
        return min(end, step + said[0][1])

    def reached(self, step: int) -> None:
        """The devices have done all steps before `step`; the first time they, or the host, had to compile them."""
        took, done = time.monotonic() - self._start, step - self._from
        if self._warm:
            self._steps = max(1, int(done * self._seconds / max(took, 1e-6)))
        self._warm = True
