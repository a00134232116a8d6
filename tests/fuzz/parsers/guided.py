"""`python -m tests.fuzz.parsers.guided`: atheris (libFuzzer) drives each reader towards lines it has not yet run."""

import argparse
import os
import re
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

from fjdl.errors import DataFormatError

if TYPE_CHECKING:
    from tests.fuzz.parsers.table import Parser

BOUND = 2**29  # bytes of address space above those at the start
LONGEST = 2**14  # bytes of an input


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parsers; all by default")
    parser.add_argument("--inputs", type=int, default=40_000, help="for each parser")
    parser.add_argument("--seconds", type=int, default=60, help="at most, for each parser")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with atheris.instrument_imports(include=["fjdl.data", "fjdl.transfer"], enable_loader_override=False):
        from tests.fuzz.parsers.table import PARSERS
    print("| parser | inputs | seconds | other errors | branches | peak, MiB |\n|---|---|---|---|---|---|", flush=True)
    options = [f"-runs={given.inputs}", f"-max_total_time={given.seconds}", f"-seed={given.seed}"]
    rows = [_row(name, PARSERS[name], options) for name in given.names or PARSERS]
    print(f"| all | {sum(row[0] for row in rows):,} | | {sum(row[1] for row in rows)} | | |", flush=True)
    sys.exit(any(row[1] for row in rows))


def _row(name: str, read: "Parser", options: list[str]) -> tuple[int, int]:
    """Fuzzes in a process of its own, which begins with everything imported, and prints what came of it."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if not child:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            _fuzz(read, options)
        status = os.waitpid(child, 0)[1]
        log.seek(0)
        text = log.read().decode(errors="replace")
    inputs = sum(int(number) for number in re.findall(r"number_of_executed_units:\s+(\d+)", text))
    peaks, branches = re.findall(r"^PEAK (\d+)", text, re.M), re.findall(r"cov: (\d+)", text)
    found = re.findall(r"^FOUND (.*)", text, re.M)
    if status or not inputs:
        found.append(f"the process ended with {status}: {text[-600:]}")
    seconds = time.monotonic() - start
    print(
        f"| {name} | {inputs:,} | {seconds:.0f} | {len(found)} | {branches[-1:]} | {peaks[-1:]} |".replace(
            "['", ""
        ).replace("']", ""),
        flush=True,
    )
    for each in found:
        print(f"  {name}: {each}", file=sys.stderr, flush=True)
    return inputs, len(found)


def _fuzz(read: "Parser", options: list[str]) -> None:
    seen, start, peaks = set(), _resident(), [0]

    def one(content: bytes) -> None:
        try:
            read(content)
        except DataFormatError:
            pass
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {place.filename.rpartition('/')[2]}:{place.lineno}: {str(error)[:150]!r}"
            if (type(error), place.filename, place.lineno) not in seen:
                seen.add((type(error), place.filename, place.lineno))
                print(f"FOUND {kind}", flush=True)
        if (peak := _resident() - start) > peaks[0]:
            peaks[0] = peak
            print(f"PEAK {peak >> 10}", flush=True)

    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(read.seeds):
            (Path(corpus) / str(number)).write_bytes(content)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + BOUND, size + BOUND))
        limits = [
            f"-max_len={LONGEST}",
            "-timeout=10",
            "-rss_limit_mb=4096",
            "-print_final_stats=1",
            f"-artifact_prefix={corpus}/",
        ]
        atheris.Setup([sys.argv[0], *options, *limits, corpus], one)
        atheris.Fuzz()


def _resident() -> int:
    """KiB of memory at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
