"""What is the same for all machines that are reached by ssh: copying the code, starting, watching, fetching."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from experiments.launch import machine
from experiments.launch.commands import SECRETS_FILE, Command
from experiments.launch.job import Job

TRIES = 10


class Reach(NamedTuple):
    """How one control plane reaches its machines; each function makes a command from the words after its own.

    `every` runs a script on all machines, `one` on the machine of a number, `send` copies a file to all homes, and
    `take` copies from the home of the machine of a number.
    """

    every: Callable[[str, str], Command]  # script, why
    one: Callable[[str, int, str], Command]  # script, number, why
    send: Callable[[str, str, str], Command]  # file here, name there, why
    take: Callable[[str, str, int, str], Command]  # name there, folder here, number, why


def sync(job: Job, reach: Reach, commit: str) -> list[Command]:
    """The repository at a commit, in a file with its history, and an environment for it, on every machine."""
    bundle = f"build/{job.name}.bundle"
    return [
        Command(words=("mkdir", "-p", "build"), why="makes the folder for the code's file"),
        Command(words=("git", "bundle", "create", "-q", bundle, job.ref), why=packs(job, commit)),
        dataclasses.replace(
            reach.every("true", "makes the ssh key, and waits until every machine takes it"), tries=TRIES
        ),
        reach.send(bundle, f"{job.name}.bundle", "copies the code to every machine"),
        reach.every(machine.install(job, commit), "installs Python, the code and what it needs on every machine"),
    ]


def run(job: Job, reach: Reach) -> list[Command]:
    """Starts the training on every machine, with the secrets in a file that only its user reads."""
    log = f"{machine.LOGS}/{job.name}.log"
    return [*_secrets(job, reach), reach.every(machine.run(job), f"starts the training on every machine; log: {log}")]


def logs(job: Job, reach: Reach, worker: int) -> list[Command]:
    """Follows the log of one machine."""
    return [reach.one(machine.follow(job), worker, f"follows the log of machine {worker}; ctrl-c ends only that")]


def fetch(job: Job, reach: Reach) -> list[Command]:
    """Copies the run and all logs to this machine; what is there already is only brought up to date."""
    folder = job.folder
    commands = [Command(words=("mkdir", "-p", f"{folder}/logs"), why="makes the folder of the run")]
    if job.bucket:
        commands.append(from_bucket(job))
    else:
        commands.append(reach.take(f"fjdl/{folder}", "runs", 0, "copies the run"))
    for worker in range(job.slice.hosts):
        there, here = f"{machine.LOGS}/{job.name}.log", f"{folder}/logs/{worker}.log"
        commands.append(reach.take(there, here, worker, f"copies the log of machine {worker}"))
    return commands


def from_bucket(job: Job) -> Command:
    """Copies a run from its bucket."""
    return Command(
        words=(
            "gcloud",
            "storage",
            "rsync",
            "--recursive",
            f"--project={job.project}",
            job.run_dir,
            job.folder,
        ),
        why="copies the run from the bucket",
    )


def packs(job: Job, commit: str) -> str:
    """What packing the code is for."""
    return f"packs the code, {job.ref} at {commit[:12]}"


def project_and_zone(job: Job) -> tuple[str, str]:
    """The two flags that every command of gcloud gets."""
    return f"--project={job.project}", f"--zone={job.zone}"


def ssh_flags(job: Job) -> tuple[str, ...]:
    """The flags of ssh and scp: machines without addresses are reached through a tunnel."""
    return (*project_and_zone(job), *(("--tunnel-through-iap",) if job.internal else ()))


def network(job: Job, subnetwork: str) -> tuple[str, ...]:
    """The flags of the network, none for the default one; the second has two names."""
    flags = (("--network", job.network), (subnetwork, job.subnetwork))
    return tuple(f"{name}={value}" for name, value in flags if value)


def _secrets(job: Job, reach: Reach) -> list[Command]:
    if not job.secrets:
        return []
    command = reach.send(SECRETS_FILE, machine.secrets_file(job), "copies the secrets to every machine")
    return [dataclasses.replace(command, secrets=job.secrets)]
