"""The control planes by name; a config or a flag names one, and everything else asks here."""

from collections.abc import Callable
from typing import NamedTuple

from experiments.launch import gke, group, instance, machines, queued, tpu_vm
from experiments.launch.commands import Command
from experiments.launch.job import Job
from experiments.launch.machines import Reach
from experiments.launch.slices import PlaneName

Commands = list[Command]


class Plane(NamedTuple):
    """What one control plane is told, in the order in which it is told."""

    create: Callable[[Job], Commands]
    sync: Callable[[Job, str], Commands]  # with the commit
    run: Callable[[Job], Commands]
    logs: Callable[[Job, int], Commands]  # with the number of the machine
    fetch: Callable[[Job], Commands]
    delete: Callable[[Job], Commands]


def by_ssh(
    create: Callable[[Job], Commands], reach: Callable[[Job], Reach], delete: Callable[[Job], Commands]
) -> Plane:
    """A control plane whose machines are reached by ssh, which differ in how they come, go and are reached."""
    return Plane(
        create=create,
        sync=lambda job, commit: machines.sync(job, reach(job), commit),
        run=lambda job: machines.run(job, reach(job)),
        logs=lambda job, worker: machines.logs(job, reach(job), worker),
        fetch=lambda job: machines.fetch(job, reach(job)),
        delete=delete,
    )


PLANES: dict[PlaneName, Plane] = {
    "tpu-vm": by_ssh(tpu_vm.create, tpu_vm.reach, tpu_vm.delete),
    "queued": by_ssh(queued.create, tpu_vm.reach, queued.delete),
    "instance": by_ssh(instance.create, instance.reach, instance.delete),
    "group": by_ssh(group.create, group.reach, group.delete),
    "gke": Plane(gke.create, gke.sync, gke.run, lambda job, _: gke.logs(job), gke.fetch, gke.delete),
}


def commands_of(verb: str, job: Job, *, commit: Callable[[], str], worker: int = 0) -> Commands:
    """The commands of one word; the commit is asked for by the one that copies the code."""
    plane = PLANES[job.plane]
    if verb == "sync":
        return plane.sync(job, commit())
    if verb == "logs":
        return plane.logs(job, worker)
    return {"create": plane.create, "run": plane.run, "fetch": plane.fetch, "delete": plane.delete}[verb](job)


def life(job: Job, commit: str) -> list[tuple[str, Commands]]:
    """All commands of a launch by the word that runs them, in their order."""
    return [(verb, commands_of(verb, job, commit=lambda: commit)) for verb in Plane._fields]
