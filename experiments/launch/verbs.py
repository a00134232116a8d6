"""The words of the command line: `plan` shows everything, the others print their commands and run them with --yes."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.command import split_at_dashes
from experiments.launch.job import Job, check, load, save
from experiments.launch.planes import commands_of, life
from experiments.launch.runner import execute, hidden, show, values_of
from fjdl.errors import UsageError

VERBS = {
    "plan": "Show chips, hosts, batches and all commands of a launch, and run none; --save keeps the options.",
    "create": "Make the machines.",
    "sync": "Copy the repository at a commit to every machine and install it.",
    "run": "Start the training on every machine.",
    "logs": "Follow what a machine prints.",
    "fetch": "Copy the run and its logs to this machine.",
    "delete": "Delete the machines, and look whether they are gone.",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch:
    """Options of a launch; those of the training follow behind --."""

    job: Annotated[Job, tyro.conf.arg(name="")]
    yes: bool = False
    """Run the commands; without it they are printed, and nothing runs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Options of a plan; those of the training follow behind --."""

    job: Annotated[Job, tyro.conf.arg(name="")]
    save: Path | None = None
    """A file for the job, which the other words take in place of the config and all options."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Logs(Launch):
    """Options of logs; those of the training may follow behind --."""

    worker: int = 0
    """The machine, counted from 0."""


def main(verb: str, arguments: Sequence[str]) -> None:
    """Reads the job and prints its commands, or runs them."""
    options = parse(verb, arguments)
    job = check(options.job)
    if verb == "plan":
        plan(job, options.save)
        return
    worker = getattr(options, "worker", 0)
    if not 0 <= worker < job.slice.hosts:
        raise UsageError(f"worker must be a machine from 0 to {job.slice.hosts - 1}, got {worker}")
    commands = commands_of(verb, job, commit=lambda: commit_of(job.ref), worker=worker)
    secrets = values_of(job.secrets) if options.yes else {}
    if not options.yes:
        show(commands, known_values(job))
        print("nothing was run: --yes runs these commands", flush=True)
        return
    if verb == "run":
        from experiments.launch.plan import require_arguments

        require_arguments(job)
    execute(commands, secrets)


def parse(verb: str, arguments: Sequence[str]) -> Any:
    """The options; a first argument that ends in .json is a job's file, whose values are the defaults."""
    options, training = split_at_dashes(arguments)
    kind: Any = {"plan": Plan, "logs": Logs}.get(verb, Launch)
    default: Any = tyro.MISSING_NONPROP
    given = next((word for word in options if not word.startswith("-")), "")
    if given.endswith(".json"):
        known = load(Path(given))
        default = kind(job=known)
        options.remove(given)
        options = [str(known.config), *options]
    made = tyro.cli(kind, args=options, default=default, prog=f"experiments.tpu {verb}", description=VERBS[verb])
    return dataclasses.replace(made, job=dataclasses.replace(made.job, arguments=training)) if training else made


def plan(job: Job, path: Path | None) -> None:
    """Prints the plan, and keeps the job in a file where one is named."""
    from experiments.launch.plan import lines
    from fjdl.train.header import lines as aligned

    secrets = known_values(job)
    print(hidden(secrets)(aligned(lines(job))), flush=True)
    for verb, commands in life(job, commit_of(job.ref)):
        print(f"\n## {verb}: {VERBS[verb]}\n")
        show(commands, secrets)
    if path is not None:
        require_no_values(job, secrets)
        save(job, path)
        print(f"the job is in {path}: python -m experiments.tpu create {path} --yes", flush=True)


def known_values(job: Job) -> dict[str, str]:
    """The values of those secrets that are set here, so that no output shows them."""
    return {name: value for name in job.secrets if (value := os.environ.get(name))}


def require_no_values(job: Job, secrets: dict[str, str]) -> None:
    """Raises `UsageError` where an option holds a secret's value, which a file would keep."""
    for name, value in secrets.items():
        if any(value in word for word in job.arguments):
            raise UsageError(
                f"the value of {name} must not stand among the options, since the training gets it by name"
            )


def commit_of(ref: str) -> str:
    """The commit that a branch, a tag or HEAD names here; says where changes are not in it."""
    words = ["git", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    if found.returncode:
        raise UsageError(f"ref must be a branch, a tag or HEAD of the repository in this folder, got {ref!r}")
    status = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=False)
    if ref == "HEAD" and status.stdout.strip():
        print("warning: changes that are not committed stay behind", file=sys.stderr)
    return found.stdout.strip()


def described(help_text: str) -> Callable[[], None]:
    """A function whose docstring is the help of a word, for the list of all words."""

    def word() -> None: ...

    word.__doc__ = help_text
    return word
