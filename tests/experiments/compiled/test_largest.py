"""The search for the widest network, with a compiler of our own."""

import subprocess
import sys

import pytest

from experiments import tpu
from experiments.compiled.largest import UNIT, Options, parameters, widest
from experiments.compiled.programs import Compiled, TooLarge
from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.tree import count
from tests.experiments.support import Command


@pytest.mark.parametrize(("most", "start"), [(12_800, 8192), (300, 8192), (8192, 8192), (70_000, 8192), (256, 256)])
def test_the_widest_that_fits_is_found(most: int, start: int) -> None:
    tried: list[int] = []

    def compile_at(width: int) -> Compiled | TooLarge:
        tried.append(width)
        return Compiled.__new__(Compiled) if width <= most else TooLarge(batch=8, asked=width * 10, available=0)

    found = widest(compile_at, start=start)
    assert found.fits == most // UNIT * UNIT
    assert (found.refused, found.asked) == (found.fits + UNIT, (found.fits + UNIT) * 10)
    assert len(set(tried)) == len(tried) <= 13


def test_parameters_are_those_of_the_network() -> None:
    import jax
    import jax.numpy as jnp

    model = pure(MLP(hidden=(24,) * 3, classes=10))
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.ones((1, 64)))[0])
    assert parameters(Options(layers=3), 24) == count(params)


def test_the_search_runs_in_a_process_of_its_own(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def ran(words: list[str], *, env: dict[str, str], check: bool) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        return subprocess.CompletedProcess(words, 3)

    monkeypatch.setattr(tpu.subprocess, "run", ran)
    assert command("tpu", "largest", "--layers", 2).status == 3
    assert asked == [[sys.executable, "-m", "experiments.compiled.largest", "--layers", "2"]]
