"""One machine of Compute Engine: `gcloud compute instances`."""

from experiments.launch.commands import Command
from experiments.launch.job import Job
from experiments.launch.machines import Reach, network, project_and_zone, ssh_flags

IMAGES = "ubuntu-os-accelerator-images"
MODELS = {"on-demand": "STANDARD", "spot": "SPOT", "flex-start": "FLEX_START"}


def create(job: Job) -> list[Command]:
    """Makes the machine; one of flex-start waits two hours for it at most."""
    wait = ("--request-valid-for-duration=2h",) if job.capacity == "flex-start" else ()
    words = ("gcloud", "compute", "instances", "create", job.name, *project_and_zone(job), *machine_flags(job), *wait)
    return [
        Command(
            words=words,
            why="makes the machine",
            makes=f"the instance {job.name}, billed from now on{limited(job)}",
            undo=delete(job)[0].words,
            loses="the machine's disk; a minute",
        )
    ]


def delete(job: Job) -> list[Command]:
    """Deletes the machine with its disk, and looks whether it is gone."""
    tool, zone = ("gcloud", "compute", "instances"), project_and_zone(job)
    return [
        Command(
            words=(*tool, "delete", job.name, *zone, "--quiet"), why="deletes the machine with its disk", optional=True
        ),
        Command(
            words=(
                *tool,
                "list",
                f"--project={job.project}",
                f"--zones={job.zone}",
                f"--filter=name={job.name}",
                "--format=value(name)",
            ),
            why="looks whether the machine is gone",
            prints="",
            otherwise="the machine is still there and is billed",
        ),
    ]


def reach(job: Job) -> Reach:
    """The one machine, whatever its number."""
    flags = ssh_flags(job)

    def ssh(script: str, why: str) -> Command:
        words = ("gcloud", "compute", "ssh", job.name, *flags, f"--command={script}")
        return Command(words=words, why=why)

    def scp(source: str, to: str, why: str) -> Command:
        return Command(words=("gcloud", "compute", "scp", "--recurse", source, to, *flags), why=why)

    return Reach(
        every=ssh,
        one=lambda script, _, why: ssh(script, why),
        send=lambda file, name, why: scp(file, f"{job.name}:{name}", why),
        take=lambda name, folder, _, why: scp(f"{job.name}:{name}", folder, why),
    )


def machine_flags(job: Job) -> tuple[str, ...]:
    """What a machine is, for one and for the template of many."""
    found = job.slice
    hours = (f"--max-run-duration={job.hours}h",) if job.hours else ()
    ends = ("--instance-termination-action=DELETE",) if job.hours or job.capacity != "on-demand" else ()
    disk = (f"--disk=name={job.data_disk},mode=ro",) if job.data_disk else ()
    return (
        f"--machine-type={found.family.machines[found.chips_per_host]}",
        f"--image-project={IMAGES}",
        f"--image-family={job.image or found.family.image}",
        f"--boot-disk-size={job.disk}GB",
        *disk,
        "--maintenance-policy=TERMINATE",
        "--scopes=cloud-platform",
        f"--provisioning-model={MODELS[job.capacity]}",
        *hours,
        *ends,
        *network(job, "--subnet"),
        *(("--no-address",) if job.internal else ()),
    )


def limited(job: Job) -> str:
    """When a machine ends by itself, if it does."""
    return f" until deleted, which happens by itself after {job.hours} hours" if job.hours else ""
