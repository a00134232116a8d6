"""Which tests one worker runs together, so that it compiles once what they share.

Those of a file, and in `laws/` those of a module of the library over all files. `--dist=loadgroup` would go by marks,
which pytest-xdist 3.8 loses under pytest 9.2 (pytest-dev/pytest-xdist#1386).
"""

import re
from collections.abc import Mapping
from typing import Any

from xdist.scheduler import LoadFileScheduling

MODULE = re.compile(r"^tests/laws/.*?\[.*?((?:\w+\.)+)")


def together(nodeid: str) -> str:
    """The name that is common to the tests which one worker runs."""
    module = MODULE.match(nodeid)
    return module[1] if module else nodeid.partition("::")[0]


class Together(LoadFileScheduling):
    """Hands out modules and files in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)

    def _pending_of(self, workload: Mapping[str, Any]) -> int:
        """How many tests a worker has before it; those that it has run are forgotten, since each test asks."""
        for scope in [scope for scope, tests in workload.items() if all(tests.values())]:
            del workload[scope]
        return super()._pending_of(workload)
