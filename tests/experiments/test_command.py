import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import command
from experiments.mistakes import users_mistakes
from experiments.train import Options
from fjdl import errors
from fjdl.errors import Stopped
from fjdl.losses import reduce, softmax_cross_entropy
from fjdl.models import MLP
from fjdl.optim import adam
from fjdl.tree import map_named
from tests.experiments.support import Command
from tests.support import ROOT
from tests.train.toy import recipe as recipe_of_training

CONFIG = '''"""A header.

Number reached: 1.
"""
from configs.digits_logistic import recipe as original

def recipe(*, seed: int = 0, width: tuple[int, ...] = (3,)):
    """What it is."""
    return original(seed=seed)
'''


def fail_with(error: BaseException) -> int:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as caught:
        command.run_guarded(main)
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.FjdlError("what"), 1),
        (errors.UsageError("what"), 2),
        (errors.DataError("what"), 3),
        (errors.CheckpointError("what"), 4),
        (errors.DivergedError("what"), 5),
        (errors.StorageError("what"), 6),
    ],
)
def test_every_error_has_its_status_and_one_sentence(
    error: errors.FjdlError, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(error) == status
    assert capsys.readouterr() == ("", "fjdl: what\n")


def test_signals_have_the_status_of_the_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail_with(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "fjdl: stopped by SIGINT\n"
    assert fail_with(Stopped(15)) == 143
    assert capsys.readouterr().err.splitlines()[0] == "fjdl: stopped by SIGTERM; the same command resumes"


def test_a_rule_of_the_library_is_a_wrong_usage_where_a_config_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        with users_mistakes():
            adam(-1.0)

    with pytest.raises(SystemExit) as caught:
        command.run_guarded(main)
    assert caught.value.code == 2
    message = "fjdl: learning_rate must be finite and not negative, got -1.0 (FJDL_TRACEBACK=1 shows where)\n"
    assert capsys.readouterr().err == message


def test_a_traceback_is_shown_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FJDL_TRACEBACK", "1")
    with pytest.raises(ValueError, match="learning_rate must be finite") as caught, users_mistakes():
        adam(-1.0)
    assert not isinstance(caught.value, errors.UsageError)


def refuse() -> None:
    raise ValueError("depth must be positive, got 0")


MISTAKES = {
    "an array of the wrong type": (lambda: softmax_cross_entropy(3, 3), "softmax_cross_entropy: "),
    "a rule of a config": (refuse, "depth must be positive, got 0"),
    "an argument that does not exist": (lambda: MLP(hiden=(3,)), "unexpected keyword argument 'hiden'"),
    "an option that does not exist": (lambda: adam(1e-3, momentum=0.9), "adam: there is no argument `momentum`"),
}
BUGS = {
    "of Python": lambda: int("three"),
    "of the standard library": lambda: json.loads("{"),
    "of NumPy": lambda: np.ones(3) + np.ones(4),
    "of JAX": lambda: jax.eval_shape(lambda: jnp.zeros(3).reshape(7)),
    "of JAX below the library": lambda: map_named(lambda *_: 0, {"a": 1}, {"b": 1}),
    "of another type": lambda: {}["labels"],
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_the_library_or_a_config_refuses_is_the_users_mistake(case: str) -> None:
    call, message = MISTAKES[case]
    with pytest.raises(errors.UsageError, match=re.escape(message)), users_mistakes():
        call()


@pytest.mark.parametrize("case", BUGS)
def test_any_other_exception_is_never_taken_for_the_users_mistake(case: str) -> None:
    def main() -> None:
        with users_mistakes():
            BUGS[case]()

    with pytest.raises(Exception) as caught:  # noqa: PT011 - of which type does not matter
        command.run_guarded(main)
    assert not isinstance(caught.value, errors.FjdlError | SystemExit)


def test_outside_of_where_a_config_is_judged_even_the_librarys_own_refusal_is_a_bug() -> None:
    with pytest.raises(ValueError, match="learning_rate must be finite"):
        command.run_guarded(lambda: adam(-1.0))  # type: ignore[arg-type, return-value]


@pytest.mark.by_day_on_pin(1)
def test_a_bug_after_the_training_is_no_wrong_usage(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fjdl.train.result.summarized", lambda *_: reduce.mean([1.0]))
    with pytest.raises(ValueError, match="mean: argument `values` must be"):
        command("train", "configs/iris_logistic.py", "--epochs", 1, "--run-dir", tmp_path / "run")


def test_a_wrong_argument_is_a_value_error_for_callers_too() -> None:
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        recipe_of_training(epochs=0)


def test_an_error_of_the_program_is_not_hidden() -> None:
    def main() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        command.run_guarded(main)


def test_options_and_hyper_parameters_are_flags_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(CONFIG)
    words = [str(path), "--seed", "7", "--width", "4", "5", "--dry-run"]
    options, experiment = command.parse(Options, words)
    assert (options.config, options.dry_run) == (path, True)
    assert experiment.recipe.seed == 7
    assert experiment.config["arguments"] == {"seed": 7, "width": (4, 5)}


def test_flags_may_come_before_the_config() -> None:
    options, experiment = command.parse(Options, ["--epochs", "3", "configs/digits_mlp.py"])
    assert options.config == Path("configs/digits_mlp.py")
    assert experiment.recipe.epochs == 3


def test_the_hash_covers_the_code_and_neither_header_nor_comments(tmp_path: Path) -> None:
    path = tmp_path / "one.py"

    def sha256(text: str) -> str:
        path.write_text(text)
        return command.describe(path, {})["sha256"]

    original = sha256(CONFIG)
    assert sha256(CONFIG.replace("reached: 1", "reached: 2")) == original
    assert sha256(CONFIG.replace("def recipe", "# a comment\ndef  recipe")) == original
    assert sha256(CONFIG.replace("int = 0", "int = 1")) != original


def test_an_absolute_path_is_recorded_relative_to_the_working_directory() -> None:
    path = Path("configs/digits_mlp.py")
    assert command.describe(path.resolve(), {})["config"] == command.describe(path, {})["config"] == str(path)


@pytest.mark.by_day_on_pin(1)
def test_a_run_is_opened_with_the_arguments_it_records(trained_run: Path) -> None:
    experiment = command.open_experiment(trained_run)
    assert experiment.recipe.epochs == 2
    assert dataclasses.replace(experiment.recipe, epochs=3).batch_size == 64


def cache_dir() -> str | None:
    return getattr(jax.config, "jax_compilation_cache_dir")  # noqa: B009 - pyright does not know it


def test_the_compilation_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = cache_dir()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "here"))
    command.enable_compilation_cache()
    assert cache_dir() == str(tmp_path / "here")
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0  # small programs are most of a start
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    command.enable_compilation_cache()
    assert cache_dir() == str(tmp_path / ".cache" / "fjdl" / "xla")
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.by_day_on_pin(1)
def test_a_program_that_the_cache_holds_by_half_is_compiled_again_without_a_word(tmp_path: Path) -> None:
    program = """
import jax, warnings
from experiments.command import enable_compilation_cache
warnings.simplefilter("error")
enable_compilation_cache()
print(jax.jit(lambda x: 3 * x)(1.0))
"""
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.stderr) == ("3.0\n", "")
        entries = [*tmp_path.glob("*-cache")]
        assert entries
        for entry in entries:  # as a process leaves it that is killed while it writes
            entry.write_bytes(entry.read_bytes()[:100])
