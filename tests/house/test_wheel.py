"""What `pip install fjdl` gives: the package, its types, and nothing else at the top level."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support import ROOT

# Warnings of other packages, which are imported first, do not count.
IMPORT_EVERYTHING = """
import importlib, importlib.util, pkgutil, sys, warnings
import chex, flax.linen, grain, jax, matplotlib, optax, orbax.checkpoint, sklearn, tyro
warnings.simplefilter("error")
import fjdl
assert fjdl.__file__.startswith(sys.prefix), fjdl.__file__
names = [module.name for module in pkgutil.walk_packages(fjdl.__path__, "fjdl.")]
for name in names:
    importlib.import_module(name)
assert importlib.util.find_spec("experiments") is None
print(len(names))
"""

TYPED_SCRIPT = """\
import jax
import jax.numpy as jnp
from fjdl.losses import mse_loss
fine: jax.Array = mse_loss(jnp.ones(3), jnp.zeros(3))
text: str = mse_loss(jnp.ones(3), jnp.zeros(3))
mse_loss(jnp.ones(3), jnp.zeros(3), delta=1)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since building leaves folders beside the sources."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "fjdl", source / "fjdl", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    done = _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(source / "dist"), str(source))
    assert done.returncode == 0, done.stderr
    (built,) = (source / "dist").glob("fjdl-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel; it sees what fjdl depends on, but not the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    done = _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    assert done.returncode == 0, done.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_wheel_installs_fjdl_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fjdl"}
    assert "fjdl/py.typed" in names
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "fjdl").rglob("*.py")}
    assert sources == {name for name in names if name.endswith(".py")}


def test_every_module_of_an_installed_wheel_imports_without_a_warning(python: Path, tmp_path: Path) -> None:
    done = subprocess.run([python, "-c", IMPORT_EVERYTHING], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 200


def test_a_script_is_checked_against_the_types_of_an_installed_wheel(python: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(TYPED_SCRIPT)
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", str(python), "script.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    first, second = (line.split("error: ")[1] for line in done.stdout.splitlines() if "error: " in line)
    assert '"Array" is not assignable to "str"' in first or 'declared type "str"' in first
    assert 'No parameter named "delta"' in second
