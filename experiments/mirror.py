"""A run that is kept in a bucket too: brought from there before the training, and copied as it goes.

The run directory is a local folder, so that it is verified, resumed and locked as anywhere. Google's own command copies
it, `gcloud storage rsync`; nothing else knows of buckets.
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from fjdl.errors import StorageError, UsageError

EVERY = 30.0  # seconds between copies
_NOTHING = "matched no objects"  # what gcloud says of a place that holds nothing yet


def require_local(run: Path) -> None:
    """Raises `UsageError` for a run directory in a bucket."""
    if run.parts[:1] == ("gs:",):
        raise UsageError(f"run_dir must be a local folder, got {run}; --bucket keeps a copy of it in a bucket")


@contextlib.contextmanager
def mirrored(run: Path, place: str | None, *, every: float = EVERY) -> Iterator[None]:
    """Inside, the run is copied to `place`, such as gs://my-runs/runs/digits, every so many seconds, and at the end.

    Where there is no local run it is brought from there first; a local one is never written over. A copy that fails on
    the way is told once and tried again. Raises `UsageError` for a place that is no folder of a bucket, and
    `StorageError` where the run cannot be brought, and at the end where it could not be copied.
    """
    if place is None:
        yield
        return
    if not place.startswith("gs://") or len(place.strip("/").split("/")) < 4:
        raise UsageError(f"bucket must be a folder of a bucket such as gs://my-runs/runs/digits, got {place}")
    if not run.exists():
        fetch(place, run)
    done = threading.Event()
    copies = threading.Thread(target=_copy_on, args=(run, place, every, done), name="copies to the bucket", daemon=True)
    copies.start()
    try:
        yield
    finally:
        done.set()
        copies.join()
        if run.exists():
            copy(run, place)


def fetch(place: str, run: Path) -> None:
    """Brings a run to a folder, if there is one at that place; raises `StorageError` where that cannot be told."""
    looked = _gcloud("ls", place)
    if looked.returncode and _NOTHING in looked.stderr:
        return
    _require(looked, f"{place} could not be read")
    run.mkdir(parents=True)
    _require(_gcloud("rsync", "--recursive", place, str(run)), f"{run} could not be brought from {place}")


def copy(run: Path, place: str) -> None:
    """Makes the place hold what the folder holds; raises `StorageError` where that fails."""
    found = _gcloud("rsync", "--recursive", "--delete-unmatched-destination-objects", str(run), place)
    _require(found, f"{run} could not be copied to {place}")


def _copy_on(run: Path, place: str, every: float, done: threading.Event) -> None:
    told = False
    while not done.wait(every):
        try:
            if run.exists():
                copy(run, place)
        except StorageError as error:
            if not told:
                print(f"warning: {error}; it is tried again every {every:g} s", file=sys.stderr)
            told = True


def _gcloud(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["gcloud", "storage", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise StorageError("gcloud is needed to keep a run in a bucket, but there is no such command here") from None


def _require(done: subprocess.CompletedProcess[str], failure: str) -> None:
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise StorageError(f"{failure}: {said[-1]}")
