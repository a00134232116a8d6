"""The records of a sweep: a line of JSON for each trial that has ended, or has reached a rung."""

import math
from pathlib import Path
from typing import Any

from fjdl.train.documents import NUMBER, checked
from fjdl.train.json_files import append_jsonl, encode_record, read_jsonl

FIELDS = {"trial": int, "round": int, "epochs": int, "point": dict, "scores": list, "curves": list, "seconds": NUMBER}


class Records:
    """What is known of the trials of a sweep, on the disk before anything else happens."""

    def __init__(self, path: Path) -> None:
        """Reads what there is, and drops a line that a crash cut short."""
        from fjdl.files import write_atomically

        self._path = path
        whole = [checked(record, FIELDS, where=f"a line of {path}") for record in read_jsonl(path)]
        if path.exists():
            write_atomically(path, "".join(map(encode_record, whole)))
        self._known = {(record["trial"], record["epochs"]): record for record in whole}

    def add(self, record: dict[str, Any]) -> None:
        """Keeps a trial's record; the line is on the disk when this returns."""
        append_jsonl(self._path, record)
        self._known[record["trial"], record["epochs"]] = record

    def at(self, trial: int, epochs: int) -> dict[str, Any] | None:
        """The record of a trial that was trained up to this epoch."""
        return self._known.get((trial, epochs))

    def latest(self) -> list[dict[str, Any]]:
        """The record with the most epochs of each trial, in the order of the trials."""
        last = dict(sorted(self._known))
        return [self._known[pair] for pair in last.items()]


def loss_of(record: dict[str, Any], *, mode: str) -> float:
    """The mean score over seeds and folds as a number that is to be small; infinite where one is none."""
    scores = [float(score) for score in record["scores"]]
    if not scores or any(map(math.isnan, scores)):
        return math.inf
    mean = math.fsum(scores) / len(scores)
    return -mean if mode == "max" else mean
