"""Whether the promises about runs hold here: `python -m experiments.verify resume configs/iris_mlp.py --kills 20`.

`resume` kills trainings again and again and compares every bit with one left alone. `repro` trains a run once more by
its own command. `signals` asks a training to stop in each of its phases, `disk` lets it meet a disk that is full, and
`damage` damages each file of a copy of a run. Each verb has its own `--help`, and ends with status 0 where the promise
holds, else 1; docs/reliability.md has what they found.
"""

import importlib
import sys

from experiments.command import run_guarded
from fjdl.errors import UsageError

VERBS = ("resume", "repro", "damage", "disk", "signals")


def main() -> None:
    """Runs the verb."""
    verb, *rest = sys.argv[1:] or ["--help"]
    if verb in ("-h", "--help"):
        print(__doc__)
        return
    if verb not in VERBS:
        raise UsageError(f"verify needs one of {', '.join(VERBS)} first, got {verb}")
    holds = importlib.import_module(f"experiments.verifications.{verb.replace('-', '_')}").main(rest)
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    run_guarded(main)
