"""Jobs whose commands are recorded in `golden/`: `python -m tests.experiments.launch.jobs` writes the files anew."""

from pathlib import Path
from unittest.mock import patch

from experiments.launch import machine
from experiments.launch.commands import shell
from experiments.launch.job import Job, check
from experiments.launch.planes import life

GOLDEN = Path(__file__).parent / "golden"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHARED = {"name": "fjdl-mnist", "project": "my-project", "config": Path("configs/mnist_lenet.py")}

JOBS = {
    "tpu_vm_spot": Job(
        **SHARED, plane="tpu-vm", zone="us-west4-a", accelerator="v5litepod-4", capacity="spot",
        arguments=("--precision", "bfloat16"),
    ),
    "queued_pod": Job(
        **SHARED, plane="queued", zone="us-west4-a", accelerator="v5litepod-16", capacity="spot", bucket="gs://my-runs",
        secrets=("WANDB_API_KEY",), data_disk="imagenet", network="tpus", subnetwork="tpus-west4",
        arguments=("--precision", "bfloat16"),
    ),
    "queued_flex": Job(
        **SHARED, plane="queued", zone="us-central1-b", accelerator="v6e-8", capacity="flex-start", hours=24,
        internal=True,
    ),
    "instance": Job(
        **SHARED, plane="instance", zone="europe-west4-a", accelerator="v6e-4", capacity="spot", hours=4, disk=400,
        bucket="gs://my-runs", secrets=("WANDB_API_KEY",),
    ),
    "group": Job(
        **SHARED, plane="group", zone="europe-west4-a", accelerator="v6e-16", capacity="flex-start", hours=168,
        bucket="gs://my-runs", arguments=("--note", "it's a \"test\" of $HOME & co"),
    ),
    "gke": Job(
        **SHARED, plane="gke", zone="us-central1-c", accelerator="tpu7x-8", capacity="flex-start", bucket="gs://my-runs",
        secrets=("WANDB_API_KEY",), arguments=("--precision", "bfloat16"),
    ),
    "gke_shared_cluster": Job(
        **SHARED, plane="gke", zone="us-east5-b", accelerator="v5p-128", bucket="gs://my-runs", cluster="team",
        image="us-docker.pkg.dev/my-project/images/jax:2026-11",
    ),
}  # fmt: skip


def recorded(name: str) -> str:
    """All that a launch of a job runs, as shell commands, with no command that restarts it."""
    job = check(JOBS[name])
    with patch.object(machine, "RESTARTED", GOLDEN / "none"):
        launch = life(job, COMMIT)
    parts = [f"## {verb}\n\n" + "\n\n".join(map(shell, commands)) for verb, commands in launch]
    return "\n\n\n".join(parts) + "\n"


if __name__ == "__main__":
    for name in JOBS:
        (GOLDEN / f"{name}.sh").write_text(recorded(name))
