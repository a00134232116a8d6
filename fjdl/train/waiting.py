"""What is said while something takes long, from a thread beside it."""

import threading
import time

from fjdl.train.progress import Say


class Waiting:
    """Says `compiling (10 s so far)` every ten seconds between `begin` and `end`."""

    def __init__(self, what: str, say: Say, *, seconds: float = 10.0) -> None:
        self._what, self._say, self._seconds = what, say, seconds
        self._over = threading.Event()

    def begin(self) -> None:
        """It is under way."""
        self._over = threading.Event()
        threading.Thread(target=self._tell, args=(self._over, time.monotonic()), daemon=True).start()

    def end(self) -> None:
        """It is over, or was never under way."""
        self._over.set()

    def _tell(self, over: threading.Event, began: float) -> None:
        while not over.wait(self._seconds):
            self._say(f"{self._what} ({time.monotonic() - began:.0f} s so far)")
