"""Machines of the Cloud TPU API, asked for in its queue: `gcloud compute tpus queued-resources`."""

from experiments.launch import tpu_vm
from experiments.launch.commands import Command
from experiments.launch.job import Job
from experiments.launch.machines import project_and_zone

TOOL = ("gcloud", "compute", "tpus", "queued-resources")
ALPHA = ("gcloud", "alpha", "compute", "tpus", "queued-resources")  # which alone knows flex-start
ENDS = ("SUSPENDED", "FAILED", "SUSPENDING", "DELETING")


def create(job: Job) -> list[Command]:
    """Puts the request into the queue, waits until it is granted, and counts the machines."""
    flex = job.capacity == "flex-start"
    words = (
        *(ALPHA if flex else TOOL),
        "create",
        request(job),
        f"--node-id={job.name}",
        *project_and_zone(job),
        *tpu_vm.what(job, "--runtime-version"),
        *_capacity(job),
        f"--valid-until-duration={job.wait_hours}h",
        *tpu_vm.internal(job),
    )
    return [
        Command(
            words=words,
            why=f"asks for the machines; the request waits {job.wait_hours} hours at most",
            makes=f"the request {request(job)}, which holds its quota until it is deleted, billed once ACTIVE",
            undo=delete(job)[0].words,
            loses=tpu_vm.DISK_GONE,
        ),
        Command(
            words=(*TOOL, "describe", request(job), *project_and_zone(job), "--format=value(state.state)"),
            why="waits for the machines",
            until="ACTIVE",
            unless=ENDS,
        ),
        tpu_vm.count(job),
    ]


def delete(job: Job) -> list[Command]:
    """Deletes the request with its machines, and looks whether both are gone."""
    words = (*TOOL, "list", *project_and_zone(job), f"--filter=name~/{request(job)}$", "--format=value(name)")
    return [
        Command(
            words=(*TOOL, "delete", request(job), *project_and_zone(job), "--force", "--quiet"),
            why="deletes the request and its machines with their disks",
            optional=True,
        ),
        Command(
            words=words,
            why="looks whether the request is gone",
            prints="",
            otherwise="the request is still there and holds its quota",
        ),
        tpu_vm.gone(job),
    ]


def request(job: Job) -> str:
    """The name of the request; the machines have that of the job."""
    return f"{job.name}-qr"


def _capacity(job: Job) -> tuple[str, ...]:
    if job.capacity == "flex-start":
        return ("--provisioning-model=flex-start", f"--max-run-duration={job.hours}h")
    return ("--spot",) if job.capacity == "spot" else ()
