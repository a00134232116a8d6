"""Mutated files: what a damaged disk, a cut download or an enemy makes of a valid one."""

from collections.abc import Iterator, Sequence

import numpy as np

INTERESTING = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"-1", b"nan", b"1e999", b"\n", b'"', b",")


def mutants(seeds: Sequence[bytes], count: int, *, seed: int = 0) -> Iterator[bytes]:
    """`count` files, each a seed with 1 to 8 changes: bits, bytes, cuts, doubled and exchanged runs."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        content = seeds[rng.integers(len(seeds))]
        for _ in range(1 << int(rng.integers(4))):
            content = _changed(content, rng)
        yield content


def _changed(content: bytes, rng: np.random.Generator) -> bytes:
    start, stop = sorted(int(place) for place in rng.integers(0, len(content) + 1, 2))
    word = INTERESTING[rng.integers(len(INTERESTING))]
    match rng.integers(6):
        case 0:
            return (
                content[:start] + bytes([content[start] ^ 1 << int(rng.integers(8))]) + content[start + 1 :]
                if content[start:]
                else word
            )
        case 1:
            return content[:start] + word + content[start + len(word) :]
        case 2:
            return content[:start] + word + content[start:]
        case 3:
            return content[:stop]
        case 4:
            return content[:start] + content[stop:]
        case _:
            return content[:stop] + content[start : min(stop, start + 64)] + content[stop:]
