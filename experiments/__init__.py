"""Entry points: `python -m experiments.train configs/digits_lenet.py --help`.

A Python that is too old for fjdl is told so here, before anything that it cannot read is imported.
"""

import sys
from collections.abc import Sequence

OLDEST_PYTHON = (3, 11)


def too_old(version: Sequence[int]) -> "str | None":
    """A sentence for a Python below 3.11, of which pip would have taken an old jax."""
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return None
    return (
        f"Python {version[0]}.{version[1]} is too old, fjdl needs 3.11 or newer, and pip takes an old jax for it: "
        "make an environment with a newer one, such as uv venv --python 3.12"
    )


if old := too_old(sys.version_info[:2]):
    sys.exit(f"fjdl: {old}")

if sys.argv[:1] == ["-m"]:  # this is how a command begins; what it imports next takes seconds
    from fjdl.signals import Answer, install

    install(Answer.EXIT)
