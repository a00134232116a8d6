"""What follows from the facts of a machine, and one look at this one."""

import ast
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from experiments import doctor, too_old
from experiments.health import facts as gathered
from experiments.health.facts import Device, Facts, Folder, gather
from experiments.health.findings import RULES, findings
from tests.experiments.support import Command
from tests.support import ROOT

GIB = 2**30
CPU = Device(0, "cpu", "cpu", None, None, 1e-3, None)
TPU = Device(0, "tpu", "TPU v5 lite", 0, 16 * GIB, 1e-4, None)
HEALTHY = Facts(
    python="3.12.1",
    fjdl="0.2.0",
    packages={"jax": "0.10.2", "jaxlib": "0.10.2", "libtpu": "0.0.42.1"},
    wanted_libtpu="0.0.42.*",
    cpu_count=8,
    memory_bytes=32 * GIB,
    devices=[TPU],
    processes=1,
    backend_error=None,
    tpu_files=["/dev/accel0"],
    gpu_files=[],
    holders=[],
    x64=False,
    folders=[
        Folder("runs", "runs", exists=False, writable=True, free_bytes=9 * GIB),
        Folder("data", "/data", exists=True, writable=False, free_bytes=0, entries=("mnist",)),
    ],
    variables={"JAX_PLATFORMS": "tpu,cpu"},
)
ON_CPU = HEALTHY._replace(devices=[CPU], variables={})
NO_TPU = ON_CPU._replace(tpu_files=[], packages={"jax": "0.10.2", "libtpu": None})
BUSY = "ABORTED: The TPU is already in use by process with pid 42"


def without(facts: Facts, package: str) -> Facts:
    return facts._replace(packages={**facts.packages, package: None})


def with_folder(use: str, **changes: Any) -> Facts:
    folder = Folder(use, "/somewhere", exists=True, writable=True, free_bytes=9 * GIB)._replace(**changes)
    return HEALTHY._replace(folders=[folder])


SICK: dict[str, tuple[Facts, str, str]] = {
    "jax of Python 3.10": (HEALTHY._replace(packages={"jax": "0.6.2"}), "jax is 0.6.2, fjdl needs 0.10.2", "3.10"),
    "no jax": (without(NO_TPU, "jax"), "jax is not installed", "make an environment"),
    "asked for the CPU": (ON_CPU._replace(variables={"JAX_PLATFORMS": "cpu"}), "JAX_PLATFORMS is cpu", "=tpu,cpu"),
    "no libtpu": (without(ON_CPU, "libtpu"), "but JAX uses cpu: libtpu is not installed", ".[tpu]"),
    "held by a known process": (ON_CPU._replace(holders=[42, 43]), "process 42 holds it", "kill 42 43"),
    "no known reason": (ON_CPU._replace(backend_error="odd"), "(/dev/accel0), but JAX uses cpu: odd", "run again"),
    "no device at all": (HEALTHY._replace(devices=[], backend_error="odd"), "JAX uses nothing: odd", "run again"),
    "in use, files unseen": (NO_TPU._replace(devices=[], backend_error=BUSY), "the TPU is in use: ABORTED", "fuser"),
    "another libtpu": (
        HEALTHY._replace(packages={"jax": "0.10.2", "libtpu": "0.0.50.1"}),
        "libtpu is 0.0.50.1, jax 0.10.2 wants 0.0.42.*",
        '"libtpu==0.0.42.*"',
    ),
    "an unused GPU": (NO_TPU._replace(gpu_files=["/dev/nvidia0"]), "has a GPU (/dev/nvidia0), but JAX uses", "cuda"),
    "no backend": (
        NO_TPU._replace(devices=[], backend_error="Unable to initialize backend", variables={"JAX_PLATFORMS": "tpu"}),
        "JAX has no devices: Unable to initialize backend",
        "unset JAX_PLATFORMS, which is tpu",
    ),
    "a chip that fails": (
        HEALTHY._replace(devices=[TPU._replace(error="3 of 9 numbers of a product are wrong")]),
        "device 0 (TPU v5 lite) does not multiply: 3 of 9 numbers",
        "another machine",
    ),
    "memory in use": (HEALTHY._replace(devices=[TPU._replace(memory_bytes=12 * GIB)]), "75 % of the memory", "end the"),
    "several hosts": (HEALTHY._replace(processes=4), "JAX runs in 4 processes", "one host"),
    "double precision": (HEALTHY._replace(x64=True), "jax_enable_x64 is on", "unset JAX_ENABLE_X64"),
    "data folder missing": (with_folder("data", exists=False), "FJDL_DATA_DIR names /somewhere", "make it"),
    "cannot be written": (with_folder("runs", writable=False), "runs folder /somewhere cannot be written", "right"),
    "full disk": (with_folder("compilation cache", free_bytes=300 * 2**20), "has 300 MiB free", "remove"),
}  # fmt: skip


@pytest.mark.parametrize("healthy", [HEALTHY, NO_TPU, NO_TPU._replace(devices=[CPU, CPU._replace(id=1)])])
def test_a_healthy_machine_has_nothing_to_do(healthy: Facts) -> None:
    assert findings(healthy) == []
    assert doctor.as_text(healthy, []).endswith("healthy: nothing to do")


@pytest.mark.parametrize("name", SICK)
def test_each_known_failure_is_named_with_what_to_do(name: str) -> None:
    facts, problem, remedy = SICK[name]
    (found,) = [finding for finding in findings(facts) if problem in finding.problem]
    assert remedy in found.remedy
    assert doctor.as_text(facts, [found]).endswith(f"to do:\n1. {found.problem}\n   {found.remedy}")


def test_every_rule_finds_something() -> None:
    for rule in RULES:
        assert any(list(rule(facts)) for facts, _, _ in SICK.values()), rule.__name__


@pytest.mark.by_day_on_pin(0)
def test_this_machine_is_described(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    monkeypatch.setenv("FJDL_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(gathered, "holders", lambda files: [])
    outcome = command("doctor", "--json")
    told = json.loads(outcome.out)
    assert outcome.status == bool(told["findings"]), outcome.out
    assert told["packages"]["jax"] == __import__("jax").__version__
    assert len(told["devices"]) == 8  # as the tests ask for
    assert all(device["product_seconds"] > 0 and device["error"] is None for device in told["devices"])
    assert told["variables"]["FJDL_DATA_DIR"] == str(tmp_path)
    assert [folder["entries"] for folder in told["folders"] if folder["use"] == "data"] == [["mnist"]]


def test_a_broken_backend_is_a_fact_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise RuntimeError("Unable to initialize\nbackend 'tpu'")

    monkeypatch.setattr("jax.local_devices", fail)
    facts = gather()
    assert (facts.devices, facts.backend_error) == ([], "Unable to initialize backend 'tpu'")
    assert findings(facts)


def test_processes_that_hold_a_file_are_found(tmp_path: Path) -> None:
    file = tmp_path / "accel0"
    file.touch()
    child = subprocess.Popen(["sh", "-c", "exec 9< accel0; echo; read x"], cwd=tmp_path, stdin=-1, stdout=-1)
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        child.stdout.readline()
        with file.open():
            assert gathered.holders([str(file)]) == [child.pid]
    finally:
        child.stdin.close()
        child.wait()
        child.stdout.close()


def test_a_python_that_is_too_old_is_told_so() -> None:
    assert too_old((3, 11, 0)) is too_old((4, 0)) is None
    assert "Python 3.10 is too old, fjdl needs 3.11" in (too_old((3, 10, 12)) or "")
    ast.parse((ROOT / "experiments" / "__init__.py").read_text(), feature_version=(3, 10))
    python = shutil.which("python3.10")
    if python is None or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("no python3.10 on the PATH")
    done = subprocess.run([python, "-m", "experiments.doctor"], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, "is too old" in done.stderr) == (1, True)
