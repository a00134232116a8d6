"""`experiments.train`, whose processes wait few seconds for one another: `python -m tests.train.hurried CONFIG …`.

`WITHIN` names the seconds. `DIES_BEFORE` names a function of `fjdl.train.processes`, in place of whose first call the
process is killed.
"""

import os
import signal
from functools import partial
from typing import Any

from experiments.command import run_guarded
from experiments.train import main
from fjdl.train import processes


def killed(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    for name in ("join", "require_alike", "require_same_data"):
        hurried = partial(getattr(processes, name), within=float(os.environ["WITHIN"]))
        setattr(processes, name, killed if name == os.environ.get("DIES_BEFORE") else hurried)
    run_guarded(main)
