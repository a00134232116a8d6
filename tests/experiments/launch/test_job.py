"""What a job is refused for, and the file that keeps one."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from experiments.launch.job import Job, check, load, save
from fjdl.errors import UsageError
from tests.experiments.launch.jobs import JOBS

POD = JOBS["queued_pod"]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"name": "Fjdl"}, "name must be of lower case letters.*got 'Fjdl'"),
        ({"name": "a" * 41}, "name must be"),
        ({"name": "x; rm -rf ~"}, "name must be"),
        ({"project": "p"}, "project must be a project's ID"),
        ({"zone": "us-west4"}, "zone must be a zone, such as us-west4-a, got 'us-west4'"),
        ({"bucket": "my-runs"}, "bucket must be a bucket without a folder"),
        ({"bucket": "gs://my-runs/folder"}, "bucket must be a bucket without a folder"),
        ({"network": "a b"}, "network must be the name"),
        ({"runtime": "$(id)"}, "runtime must be a software version"),
        ({"ref": "--all"}, "ref must be a branch, a tag or HEAD, got '--all'"),
        ({"config": Path("/tmp/x.py")}, "the config must lie in the repository"),
        ({"config": Path("../x.py")}, "the config must lie in the repository"),
        ({"disk": 5}, "disk must be at least 20"),
        ({"wait_hours": 0}, "wait_hours at least 1"),
        (
            {"bucket": None},
            "v5litepod-16 has 4 hosts, and the first writes the run on its own disk, .*: bucket must name where",
        ),
        ({"plane": "tpu-vm", "capacity": "flex-start"}, "flex-start machines are waited for|wait in a queue"),
        ({"capacity": "flex-start"}, "hours must be given, 168 at most"),
        ({"capacity": "flex-start", "hours": 200}, "hours of flex-start must be at most 168, got 200"),
        ({"hours": 4}, "limits the hours of flex-start in its queue alone, got hours 4"),
        ({"plane": "gke"}, "are no options of GKE|must be left out on GKE"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(UsageError, match=rule):
        check(dataclasses.replace(POD, **changes))


def test_a_value_in_place_of_a_secrets_name_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError, match="names of environment variables") as caught:
        check(dataclasses.replace(POD, secrets=("WANDB_API_KEY=12345678",)))
    assert "12345678" not in str(caught.value)


def test_a_pod_keeps_nothing_itself() -> None:
    with pytest.raises(UsageError, match="bucket must be given on GKE, got none"):
        check(dataclasses.replace(JOBS["gke"], bucket=None))


@pytest.mark.parametrize("name", JOBS)
def test_a_saved_job_comes_back(name: str, tmp_path: Path) -> None:
    save(JOBS[name], tmp_path / "job.json")
    assert load(tmp_path / "job.json") == JOBS[name]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"config": "x.py", "color": 1}', "null"])
def test_another_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="must be a job that --save wrote"):
        load(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "other.json")


def test_where_a_run_goes() -> None:
    assert POD.run_dir == "gs://my-runs/runs/fjdl-mnist"
    assert JOBS["tpu_vm_spot"].run_dir == "runs/fjdl-mnist"
    assert Job(**{**dataclasses.asdict(POD), "zone": "europe-west4-a"}).region == "europe-west4"
