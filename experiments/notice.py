"""The notice that a machine of Google's cloud is about to be taken back: it becomes a SIGTERM of this process."""

import os
import signal
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ADDRESS = "http://metadata.google.internal/computeMetadata/v1/instance"
NOTICES = {"preempted": "TRUE", "maintenance-event": "TERMINATE_ON_HOST_MAINTENANCE"}
PAUSE = 5.0  # seconds after an answer that cannot be had
_MODEL = Path("/sys/class/dmi/id/product_name")


def watch(address: str | None = None) -> None:
    """Waits for each kind of notice in a thread, at the machine's own address by default; elsewhere does nothing."""
    if address is None and not _in_the_cloud():
        return
    for name, bad in NOTICES.items():
        there = f"{address or ADDRESS}/{name}?wait_for_change=true&timeout_sec=300"
        threading.Thread(target=_wait, args=(there, bad), name=f"notice {name}", daemon=True).start()


def _in_the_cloud() -> bool:
    return _MODEL.exists() and _MODEL.read_text().startswith("Google")


def _wait(address: str, bad: str) -> None:
    now = address.partition("?")[0]  # the first answer comes at once, later ones when something changes
    while True:
        try:
            request = urllib.request.Request(now, headers={"Metadata-Flavor": "Google"})
            with urllib.request.urlopen(request, timeout=600) as answer:
                if answer.read(1000).decode(errors="replace").strip() == bad:
                    os.kill(os.getpid(), signal.SIGTERM)
                    return
            now = address
        except (OSError, urllib.error.URLError):
            time.sleep(PAUSE)
