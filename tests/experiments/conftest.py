"""One trained run that all tests of entry points share, and a private cache."""

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from tests.experiments import support
from tests.support import ROOT

FLAGS = ("configs/digits_logistic.py", "--epochs", "2")


@pytest.fixture(scope="package", autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing reads or writes the user's caches, and JAX's settings come back."""
    folder = tmp_path_factory.mktemp("caches")
    names = (
        "jax_enable_compilation_cache",
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
    )
    before = {name: getattr(jax.config, name) for name in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "xla"))
        patch.setenv("FJDL_CACHE_DIR", str(folder / "data"))
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
        patch.delenv("FJDL_DATA_DIR", raising=False)
        patch.delenv("FJDL_TRACEBACK", raising=False)
        patch.chdir(ROOT)
        jax.config.update("jax_disable_most_optimizations", True)  # what is compiled here runs once or twice
        jax.config.update("jax_enable_compilation_cache", True)
        reset_cache()
        yield
    jax.config.update("jax_disable_most_optimizations", False)
    for name, value in before.items():
        jax.config.update(name, value)
    reset_cache()


@pytest.fixture(scope="package")
def trained_run(tmp_path_factory: pytest.TempPathFactory, private_folders: None) -> Path:
    """Softmax regression on the digits after two epochs; tests that change something copy it."""
    run = tmp_path_factory.mktemp("runs") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", *FLAGS, "--run-dir", str(run)])
        assert support.invoke("train") == 0
    return run


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> support.Command:
    return support.command(monkeypatch, capsys)
