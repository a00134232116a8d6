"""One hash for one code, whatever the version of Python."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.fingerprint import earlier_fingerprints, fingerprint, same_code
from tests.support import ROOT

# Everything here parses on 3.11; 3.12 and later see f-strings, empty fields and parameters of types in other ways.
CODE = r'''"""A header with an accent é, no part of the code."""
import os, sys
from pathlib import Path
from . import sibling as other


class Pair:
    """Documented."""

    width: int = 0x10
    """An attribute's docstring."""

    def __init__(self, *args, scale=1e-3, **options) -> None:
        self.name = f"a{{b}}{scale:>{self.width}.{2}f}" "c" f"{args!r:^{10}}" f"" f"{options=}"


async def deep(x, /, y=None, *, z: "int" = 3, w=...):
    """Documented too."""
    async with x as a, y as b:
        yield {**z, "k": [i async for i in w if i]}, (a, b), u"kind", b"\x00\xff", "é\u2028\U0001fae8", 1j, -0.0, 1e999
    match x:
        case {"a": [1, *rest], **others} | Pair(name=str() as n) if n:
            return
        case _:
            lambda *a, b=1: (b := 2)
    try:
        print(f"{f'{x!s}' f'inner {y:{z}}'}" f'{x:{"{"}>10}', file=None, **x)
    except* ValueError as e:
        raise KeyError from e
    total: float = 0xFFFFFFFFFFFFFFFFFFFFFFFF
'''
SHA256 = "78782d5b4e57cc281f43da452ab9be435e9a0bfa7152f31efcb58b8a252528e1"

CONFIG = '''"""A header.

Number reached: 1.
"""
import math
from configs.digits_logistic import recipe as original
from pathlib import Path

def recipe(*, seed: int = 0, width: float = 3.0):
    """What it is."""
    return original(seed=seed, name=f"{width}" "x")
'''


def elsewhere(python: str, *paths: Path) -> list[list[str]]:
    """Today's hash and the earlier ones of each file as another interpreter finds them, without any package."""
    program = (
        "import runpy, sys; m = runpy.run_path(sys.argv[1])\n"
        "for path in sys.argv[2:]:\n"
        "    code = open(path, 'rb').read(); print(m['fingerprint'](code), *m['earlier_fingerprints'](code))"
    )
    command = [python, "-I", "-S", "-c", program, str(ROOT / "experiments" / "fingerprint.py"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split() for line in done.stdout.splitlines()]


def interpreter(name: str) -> str:
    """A Python of that version, or a skip that says that there is none."""
    path = shutil.which(name)
    if path is None or subprocess.run([path, "--version"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"no {name} on the PATH")
    return path


def test_the_hash_of_a_code_is_this_one() -> None:
    assert fingerprint(CODE) == fingerprint(CODE.encode()) == SHA256


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_other_versions_of_python_find_the_same_hash_and_those_of_versions_before(name: str, tmp_path: Path) -> None:
    python, paths = interpreter(name), [tmp_path / "code.py", *sorted((ROOT / "configs").glob("*.py"))]
    paths[0].write_text(CODE, encoding="utf-8")
    there, here = elsewhere(python, *paths), elsewhere(sys.executable, *paths)
    assert [row[0] for row in there] == [fingerprint(path.read_bytes()) for path in paths]
    if int(name.removeprefix("python3.")) >= sys.version_info[1]:
        assert all(old in newer for newer, (_, *olds) in zip(there[1:], here[1:], strict=True) for old in olds)


UNCHANGED = {
    "header": ("reached: 1", "reached: 2"),
    "docstring": ("What it is.", "What it was."),
    "comment and layout": ("def recipe(", "# a comment\n\ndef  recipe( "),
    "order of imports": ("import math\nfrom configs", "from configs"),
    "quotes": ('"x"', "'x'"),
}
CHANGED = {
    "default": ("seed: int = 0", "seed: int = 1"),
    "type of a default": ("width: float = 3.0", "width: float = 3"),
    "import": ("digits_logistic", "digits_mlp"),
    "text of an f-string": ('"x"', '"y"'),
    "format": ("{width}", "{width!r}"),
    "format of an f-string": ("{width}", "{width:.2f}"),
}


@pytest.mark.parametrize("case", UNCHANGED)
def test_what_does_nothing_does_not_count(case: str) -> None:
    edited = CONFIG.replace(*UNCHANGED[case])
    if case == "order of imports":
        edited = edited.replace("from pathlib import Path", "from pathlib import Path\nimport math")
    assert edited != CONFIG
    assert fingerprint(edited) == fingerprint(CONFIG)


@pytest.mark.parametrize("case", CHANGED)
def test_what_does_something_counts(case: str) -> None:
    edited = CONFIG.replace(*CHANGED[case])
    assert edited != CONFIG
    assert fingerprint(edited) != fingerprint(CONFIG)


def test_a_hash_of_an_older_version_is_known(tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    (today, *earlier) = elsewhere(sys.executable, path)[0]
    assert set(earlier) == earlier_fingerprints(CONFIG)
    assert all(same_code(path, sha256) for sha256 in (today, *earlier))
    path.write_text(CONFIG.replace("= 0", "= 1"))
    assert not any(same_code(path, sha256) for sha256 in (today, *earlier))
    path.write_text("def recipe(:")
    assert not same_code(path, today)
    assert not same_code(tmp_path / "gone.py", today)


PRECISIONS = """from typing import Literal

import jax.numpy as jnp

def recipe(*, precision: {choice} = "float32"):
    return {dtype}
"""


@pytest.mark.parametrize("more", ["", ', "float16"'])
def test_a_config_that_got_more_precisions_has_the_hash_of_its_runs_before(more: str) -> None:
    before = PRECISIONS.format(choice='Literal["float32", "bfloat16"]', dtype="jnp.dtype(precision)")
    today = PRECISIONS.format(
        choice=f'Literal["float32", "tensorfloat32", "bfloat16"{more}]',
        dtype='(jnp.bfloat16 if precision == "bfloat16" else jnp.float32)',
    )
    assert fingerprint(today) == fingerprint(before)
    assert earlier_fingerprints(today) == earlier_fingerprints(before)
    assert fingerprint(today.replace("tensorfloat32", "float64")) != fingerprint(before)
