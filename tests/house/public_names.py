"""Every public name of the library, dotted: what `tests/house/public_names.txt` holds.

python -m tests.house.public_names          # writes the file anew
"""

from pathlib import Path

from experiments.pages.public import entries, public_names, rooms

__all__ = ["SNAPSHOT", "entries", "public_names", "rooms"]

SNAPSHOT = Path(__file__).with_name("public_names.txt")


if __name__ == "__main__":
    SNAPSHOT.write_text("".join(f"{name}\n" for name in public_names()))
