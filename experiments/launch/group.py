"""Several machines of Compute Engine that are one slice: a managed instance group in bulk mode."""

from experiments.launch.commands import Command
from experiments.launch.instance import limited, machine_flags
from experiments.launch.job import Job
from experiments.launch.machines import Reach, project_and_zone, ssh_flags

TOOL = ("gcloud", "compute", "instance-groups", "managed")
HOST = "@HOST@"  # stands for a machine of the group
AT_ONCE = "16"  # machines that are talked to at the same time


def create(job: Job) -> list[Command]:
    """A policy that says how chips are connected, a template of a machine, an empty group, and its machines at once."""
    return [
        Command(
            words=(
                "gcloud", "compute", "resource-policies", "create", "workload-policy", job.name, *_region(job),
                "--type=HIGH_THROUGHPUT", f"--accelerator-topology={job.slice.topology}",
                "--accelerator-topology-mode=AUTO_CONNECT",
            ),
            why="says how the chips of the slice are connected",
            makes=f"the workload policy {job.name}, which costs nothing",
            undo=_delete_policy(job).words,
        ),
        Command(
            words=(
                "gcloud", "compute", "instance-templates", "create", job.name, f"--project={job.project}",
                f"--instance-template-region={job.region}", *machine_flags(job),
            ),
            why="describes one machine",
            makes=f"the instance template {job.name}, which costs nothing",
            undo=_delete_template(job).words,
        ),
        Command(
            words=(
                *TOOL, "create", job.name, *project_and_zone(job), "--size=0", "--target-size-policy-mode=bulk",
                "--default-action-on-vm-failure=do-nothing",
                f"--template=projects/{job.project}/regions/{job.region}/instanceTemplates/{job.name}",
                f"--workload-policy=projects/{job.project}/regions/{job.region}/resourcePolicies/{job.name}",
            ),
            why="makes a group without machines",
            makes=f"the instance group {job.name}, which costs nothing while it is empty",
            undo=_delete_group(job).words,
        ),
        Command(
            words=(*TOOL, "resize", job.name, *project_and_zone(job), f"--size={job.slice.hosts}"),
            why="asks for all machines at once",
            makes=f"{job.slice.hosts} machines in {job.name}, billed once they run{limited(job)}",
            undo=_delete_group(job).words,
            loses="the machines' disks; some minutes",
        ),
        Command(
            words=(
                *TOOL, "wait-until", job.name, *project_and_zone(job), "--stable", f"--timeout={3600 * job.wait_hours}",
            ),
            why=f"waits for the machines, {job.wait_hours} hours at most",
        ),
    ]  # fmt: skip


def delete(job: Job) -> list[Command]:
    """Deletes the group with its machines, then the template and the policy, and looks for machines that are left."""
    return [
        _delete_group(job),
        _delete_template(job),
        _delete_policy(job),
        Command(
            words=(
                "gcloud", "compute", "instances", "list", f"--project={job.project}", f"--zones={job.zone}",
                f"--filter=name~^{job.name}-[a-z0-9]+$", "--format=value(name)",
            ),
            why="looks whether the machines are gone",
            prints="",
            otherwise="machines are still there and are billed",
        ),
    ]  # fmt: skip


def reach(job: Job) -> Reach:
    """Machines whose names the group chooses: each command asks for them first, in the order of names."""
    flags = ssh_flags(job)
    names = (
        *TOOL, "list-instances", job.name, *project_and_zone(job), "--format=value(instance.basename())",
        "--sort-by=instance.basename()",
    )  # fmt: skip

    def every(words: tuple[str, ...], why: str) -> Command:
        return Command(words=names, into=(("xargs", "-P", AT_ONCE, "-I", HOST, *words),), why=why)

    def one(words: tuple[str, ...], number: int, why: str) -> Command:
        return Command(words=names, into=(("sed", "-n", f"{number + 1}p"), ("xargs", "-I", HOST, *words)), why=why)

    def ssh(script: str) -> tuple[str, ...]:
        return ("gcloud", "compute", "ssh", HOST, *flags, f"--command={script}")

    def scp(source: str, to: str) -> tuple[str, ...]:
        return ("gcloud", "compute", "scp", "--recurse", source, to, *flags)

    return Reach(
        every=lambda script, why: every(ssh(script), why),
        one=lambda script, number, why: one(ssh(script), number, why),
        send=lambda file, name, why: every(scp(file, f"{HOST}:{name}"), why),
        take=lambda name, folder, number, why: one(scp(f"{HOST}:{name}", folder), number, why),
    )


def _delete_group(job: Job) -> Command:
    words = (*TOOL, "delete", job.name, *project_and_zone(job), "--quiet")
    return Command(words=words, why="deletes the group and its machines with their disks", optional=True)


def _delete_template(job: Job) -> Command:
    words = ("gcloud", "compute", "instance-templates", "delete", job.name, *_region(job), "--quiet")
    return Command(words=words, why="deletes the template", optional=True)


def _delete_policy(job: Job) -> Command:
    words = ("gcloud", "compute", "resource-policies", "delete", job.name, *_region(job), "--quiet")
    return Command(words=words, why="deletes the workload policy", optional=True)


def _region(job: Job) -> tuple[str, str]:
    return f"--project={job.project}", f"--region={job.region}"
