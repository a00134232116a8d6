"""What a plan says before anything is made, and what it refuses."""

import re
from pathlib import Path

import jax
import pytest

from experiments.command import load_config
from experiments.launch import verbs
from experiments.launch.plan import bytes_a_device, devices_of, mesh_of
from fjdl.errors import UsageError
from fjdl.train.layout import DATA_PARALLEL, fully_sharded
from fjdl.train.prepare import prepare
from tests.experiments.launch.jobs import COMMIT, JOBS
from tests.experiments.support import USAGE, Command, sentence

FLAGS = ("configs/digits_mlp.py", "--name", "fjdl", "--project", "my-project", "--zone", "us-west4-a")
POD = (*FLAGS, "--accelerator", "v5litepod-16", "--bucket", "gs://my-runs")


@pytest.fixture(autouse=True)
def commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "commit_of", lambda ref: COMMIT)


def test_a_plan_says_what_it_comes_to_and_shows_all_commands(command: Command, tmp_path: Path) -> None:
    outcome = command("tpu", "plan", *POD, "--save", tmp_path / "job.json", "--", "--batch-size", "256")
    assert outcome.status == 0, outcome.err
    head, *sections = outcome.out.split("\n## ")
    facts = dict(line.split(maxsplit=1) for line in head.strip().splitlines())
    assert facts["machines"] == "v5litepod-16 by queued, on-demand, in us-west4-a"
    assert facts["slice"] == "16 chips in 4x4, 4 hosts of 4 chips"
    assert facts["config"] == "configs/digits_mlp.py --batch-size 256"
    assert facts["batch"] == "256 examples of all devices, 16 a device"
    assert facts["model"] == "17,226 parameters, float32"  # 65 x 128 + 129 x 64 + 65 x 10
    assert facts["memory"].startswith("training state 0.2 MB a device, of 16 GiB")  # and two moments: 206,712 bytes
    assert facts["memory"].endswith("python -m experiments.tpu check configs/digits_mlp.py --topology v5e:4x4")
    assert facts["run"] == "gs://my-runs/runs/fjdl"
    assert [section.split(":")[0] for section in sections] == ["create", "sync", "run", "logs", "fetch", "delete"]
    again = command("tpu", "run", tmp_path / "job.json")
    assert again.status == 0, again.err
    assert "--run-dir runs/fjdl --bucket gs://my-runs/runs/fjdl --batch-size 256" in again.out
    other = command("tpu", "create", tmp_path / "job.json", "--zone", "us-south1-a")
    assert "--zone=us-south1-a" in other.out


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((*POD, "--", "--batch-size", "24"), "batch_size must be a multiple of 16, such as 16 or 32, .* got 24"),
        ((*POD, "--", "--batch-size", "8"), "batch_size must be a multiple of 16, such as 16, .* got 8"),
        ((*FLAGS, "--accelerator", "v5litepod-17"), "did you mean v5litepod-16"),
        ((*FLAGS, "--accelerator", "v5litepod-16"), "bucket must name where the run is kept, got none"),
        (("nothing.json",), "the job nothing.json cannot be read: No such file or directory"),
    ],
)
def test_what_a_plan_refuses(arguments: tuple[str, ...], rule: str, command: Command) -> None:
    outcome = command("tpu", "plan", *arguments)
    assert outcome.status == USAGE
    assert re.search(rule, sentence(outcome)), outcome.err


def test_an_option_that_the_config_does_not_have_is_refused_before_a_machine_is_made(command: Command) -> None:
    outcome = command("tpu", "plan", *POD, "--", "--batch-sizes", "256")
    assert outcome.status == USAGE
    assert "--batch-sizes" in outcome.err + outcome.out


def test_a_spot_machine_without_a_bucket_is_warned_of(command: Command) -> None:
    outcome = command("tpu", "plan", *FLAGS, "--accelerator", "v5litepod-4", "--capacity", "spot")
    assert "a spot machine takes its run with it when it is taken away: --bucket keeps it" in outcome.out


def test_a_secrets_value_is_not_saved(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "sesame-open")
    path = tmp_path / "job.json"
    words = (*POD, "--secrets", "WANDB_API_KEY", "--save", path, "--", "--hidden", "sesame-open")
    monkeypatch.setattr("experiments.launch.plan.lines", lambda job: [("config", " ".join(job.arguments))])
    outcome = command("tpu", "plan", *words)
    assert outcome.status == USAGE
    assert sentence(outcome).startswith("the value of WANDB_API_KEY must not stand among the options")
    assert "sesame" not in outcome.out + outcome.err
    assert not path.exists()


def test_the_number_of_a_machine_is_checked(command: Command) -> None:
    outcome = command("tpu", "logs", *POD, "--worker", "4")
    assert outcome.status == USAGE
    assert sentence(outcome) == "worker must be a machine from 0 to 3, got 4"


def test_bytes_of_a_state_that_devices_share() -> None:
    """Kernels of 64 x 1024 and 1024 x 1024 and their two moments in sixteen parts; small arrays stay whole."""
    recipe = load_config(Path("configs/digits_mlp.py"))(hidden=(1024, 1024))
    state = jax.eval_shape(prepare(recipe).program.init)
    mesh = mesh_of({"data": -1}, 16)
    whole, part = (bytes_a_device(state, layout, mesh) for layout in (DATA_PARALLEL, fully_sharded()))
    kernels = 4 * 3 * (64 * 1024 + 1024 * 1024 + 1024 * 10 + 1024 + 1024)
    assert whole - part == kernels * 15 // 16
    assert whole > kernels
    with pytest.raises(UsageError, match="a place for each of the 16 devices, got "):
        mesh_of({"data": -1, "model": 3}, 16)


def test_two_devices_a_chip_of_tpu7x() -> None:
    assert (devices_of(JOBS["gke"]), devices_of(JOBS["queued_pod"])) == (8, 16)


def test_a_commit_is_asked_of_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert len(verbs.commit_of("HEAD")) == 40
    with pytest.raises(verbs.UsageError, match="ref must be a branch, a tag or HEAD of the repository"):
        verbs.commit_of("no-such-branch")
