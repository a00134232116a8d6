"""Machines of the Cloud TPU API, made at once: `gcloud compute tpus tpu-vm`."""

from experiments.launch.commands import Command
from experiments.launch.job import Job
from experiments.launch.machines import Reach, network, project_and_zone, ssh_flags

TOOL = ("gcloud", "compute", "tpus", "tpu-vm")
DISK_GONE = "the machines' disks; a minute or two"


def create(job: Job) -> list[Command]:
    """Asks for the machines, and counts them."""
    spot = ("--spot",) if job.capacity == "spot" else ()
    words = (*TOOL, "create", job.name, *project_and_zone(job), *what(job, "--version"), *spot, *internal(job))
    return [
        Command(
            words=words,
            why="makes the machines; it fails at once where there is no capacity",
            makes=f"the TPU VM {job.name}, billed from now on",
            undo=delete(job)[0].words,
            loses=DISK_GONE,
        ),
        count(job),
    ]


def delete(job: Job) -> list[Command]:
    """Deletes the machines, and looks whether they are gone."""
    return [
        Command(
            words=(*TOOL, "delete", job.name, *project_and_zone(job), "--quiet"),
            why="deletes the machines with their disks",
            optional=True,
        ),
        gone(job),
    ]


def reach(job: Job) -> Reach:
    """All workers at once by `--worker=all`, one by its number."""
    flags = ssh_flags(job)
    tool = ("gcloud", "alpha", *TOOL[1:]) if job.internal else TOOL  # which alone has the tunnel

    def ssh(script: str, worker: str, why: str) -> Command:
        words = (*tool, "ssh", job.name, *flags, f"--worker={worker}", f"--command={script}")
        return Command(words=words, why=why)

    def send(file: str, name: str, why: str) -> Command:
        words = (*tool, "scp", file, f"{job.name}:{name}", *flags, "--worker=all")
        return Command(words=words, why=why)

    def take(name: str, folder: str, worker: int, why: str) -> Command:
        words = (*tool, "scp", "--recurse", f"{job.name}:{name}", folder, *flags, f"--worker={worker}")
        return Command(words=words, why=why)

    return Reach(
        every=lambda script, why: ssh(script, "all", why),
        one=lambda script, worker, why: ssh(script, str(worker), why),
        send=send,
        take=take,
    )


def what(job: Job, version: str) -> tuple[str, ...]:
    """The flags of chips, software, network and disk; the software's flag has another name in the queue."""
    found = job.slice
    disk = f"source=projects/{job.project}/zones/{job.zone}/disks/{job.data_disk},mode=read-only"
    return (
        f"--accelerator-type={found.type}",
        f"{version}={job.runtime or found.family.runtime}",
        *network(job, "--subnetwork"),
        *((f"--data-disk={disk}",) if job.data_disk else ()),
    )


def internal(job: Job) -> tuple[str, ...]:
    """The flag of machines without addresses."""
    return ("--internal-ips",) if job.internal else ()


def count(job: Job) -> Command:
    """Requires as many machines as the slice has."""
    hosts = job.slice.hosts
    return Command(
        words=(*TOOL, "describe", job.name, *project_and_zone(job), "--format=value(networkEndpoints.len())"),
        why="counts the machines",
        prints=str(hosts),
        otherwise=f"the slice is not the one of {hosts} host{'s' * (hosts > 1)} that was planned",
    )


def gone(job: Job) -> Command:
    """Requires that no machine of this name is left."""
    return Command(
        words=(*TOOL, "list", *project_and_zone(job), f"--filter=name~/{job.name}$", "--format=value(name)"),
        why="looks whether the machines are gone",
        prints="",
        otherwise="the machines are still there and are billed",
    )
