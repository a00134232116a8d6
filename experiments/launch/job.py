"""What is to be trained, on which machines of which project: a job, checked, and kept in a file."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from experiments.launch.slices import PlaneName, Slice, find
from fjdl.errors import UsageError

Capacity = Literal["on-demand", "spot", "flex-start"]

NAME = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"  # xpk takes 40 characters, Google Cloud 63
FORMS = {
    "name": (NAME, "of lower case letters, digits and hyphens, at most 40, such as fjdl-mnist"),
    "project": (r"([a-z][-a-z0-9.]*:)?[a-z][-a-z0-9]{4,28}[a-z0-9]", "a project's ID, such as my-project"),
    "zone": (r"[a-z]+-[a-z]+\d+-[a-z0-9]+", "a zone, such as us-west4-a"),
    "bucket": (r"gs://[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9]", "a bucket without a folder, such as gs://my-runs"),
    "cluster": (NAME, "a cluster's name of at most 40 characters"),
    "network": (r"[-a-z0-9/._]+", "the name of a network"),
    "subnetwork": (r"[-a-z0-9/._]+", "the name of a subnetwork"),
    "data_disk": (r"[a-z]([-a-z0-9]*[a-z0-9])?", "the name of a disk"),
    "runtime": (r"[-a-z0-9._]+", "a software version of TPUs, such as v2-alpha-tpuv6e"),
    "image": (r"[-a-zA-Z0-9/._:@]+", "an image"),
}  # of the options that go into other programs' words


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A training on machines that are made for it."""

    config: tyro.conf.Positional[Path]
    """The config; or a job's file, written by --save, whose values are then the defaults of all options."""
    name: str
    """Of the machines, their logs and the run."""
    project: str
    """The ID of the Google Cloud project that pays."""
    zone: str
    """Where the machines are; it must have the chips."""
    accelerator: str
    """The slice, as v5litepod-16 or v5e:4x4."""
    plane: PlaneName = "queued"
    """Who makes the machines: the Cloud TPU API, at once or by its queue, Compute Engine, one or a group, or xpk."""
    capacity: Capacity = "on-demand"
    """What is paid for: spot can be taken away at any time; flex-start waits, and then stays for --hours at most."""
    hours: int | None = None
    """Machines are deleted after so many, with their disks: on Compute Engine, and flex-start, which needs it."""
    wait_hours: int = 6
    """How long a queued request may wait, in hours."""
    bucket: str | None = None
    """Where the run goes, as gs://my-runs; machines keep it themselves without. Several machines need it."""
    secrets: tuple[str, ...] = ()
    """Names of environment variables, such as WANDB_API_KEY, whose values the training gets; they are not printed."""
    ref: str = "HEAD"
    """What is trained: a branch, a tag, or HEAD; changes that are not committed stay behind."""
    runtime: str | None = None
    """Software version of the Cloud TPU API, the newest of the chip by default."""
    image: str | None = None
    """An image family of Compute Engine, or the base image of the container on GKE."""
    disk: int = 200
    """Size of the boot disk on Compute Engine, in GB; the Cloud TPU API has no choice."""
    data_disk: str | None = None
    """A disk with data, which is attached for reading and mounted as /mnt/data."""
    network: str | None = None
    """The network, "default" without."""
    subnetwork: str | None = None
    """The subnetwork."""
    cluster: str | None = None
    """A GKE cluster of xpk that is there and stays; without it one of the job's name is made, and deleted with it."""
    internal: bool = False
    """Machines without addresses of their own: ssh goes through a tunnel, downloads need Cloud NAT."""
    arguments: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()  # of the training, behind -- on the command line

    @property
    def region(self) -> str:
        """The zone without its letter."""
        return self.zone.rpartition("-")[0]

    @property
    def slice(self) -> Slice:
        """The chips; raises `UsageError` for those that nobody offers."""
        return find(self.accelerator, self.plane)

    @property
    def folder(self) -> str:
        """The run directory, on the machines and here."""
        return f"runs/{self.name}"

    @property
    def run_dir(self) -> str:
        """Where the run is kept: in the bucket, or in its folder on the machine."""
        return f"{self.bucket}/{self.folder}" if self.bucket else self.folder


def check(job: Job) -> Job:
    """The job; raises `UsageError` with the first thing that is wrong with it."""
    for option, (form, what) in FORMS.items():
        value = getattr(job, option)
        if value is not None and not re.fullmatch(form, value):
            raise UsageError(f"{option} must be {what}, got {value!r}")
    if job.config.is_absolute() or ".." in job.config.parts:
        raise UsageError(f"the config must lie in the repository, which is what machines get, got {job.config}")
    for name in job.secrets:
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise UsageError("secrets must be names of environment variables, such as WANDB_API_KEY, and never values")
    if not re.fullmatch(r"[\w./-]+", job.ref) or job.ref.startswith("-"):
        raise UsageError(f"ref must be a branch, a tag or HEAD, got {job.ref!r}")
    if job.disk < 20 or job.wait_hours < 1 or (job.hours is not None and job.hours < 1):
        raise UsageError(
            f"disk must be at least 20, hours and wait_hours at least 1, got {job.disk}, {job.hours}, {job.wait_hours}"
        )
    _require_fitting(job)
    return job


def save(job: Job, path: Path) -> None:
    """Writes the job as JSON; names of secrets are in it, and no values."""
    from fjdl.files import write_atomically

    values = {**dataclasses.asdict(job), "config": str(job.config)}
    write_atomically(
        path, json.dumps({name: value for name, value in values.items() if value not in (None, ())}, indent=1) + "\n"
    )


def load(path: Path) -> Job:
    """The job of a file that `save` wrote; raises `UsageError` for another one."""
    try:
        values: Any = json.loads(path.read_text())
        lists = {name: tuple(values[name]) for name in ("secrets", "arguments") if name in values}
        return Job(**{**values, **lists, "config": Path(values["config"])})
    except OSError as error:
        raise UsageError(f"the job {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} must be a job that --save wrote, and is not ({error})") from error


def _require_fitting(job: Job) -> None:
    """Raises `UsageError` for options that the control plane or the slice cannot have."""
    found = job.slice
    if found.hosts > 1 and job.bucket is None:
        raise UsageError(
            f"{found.type} has {found.hosts} hosts, and the first writes the run on its own disk, which goes with it: "
            "bucket must name where the run is kept, got none"
        )
    if job.capacity == "flex-start" and job.plane == "tpu-vm":
        raise UsageError(
            "flex-start machines wait in a queue: plane must be queued, instance, group or gke, got tpu-vm"
        )
    if job.capacity == "flex-start" and job.hours is None and job.plane != "gke":
        raise UsageError("flex-start machines are lent for a time: hours must be given, 168 at most")
    if job.hours is not None and (job.plane == "tpu-vm" or (job.plane == "queued" and job.capacity != "flex-start")):
        raise UsageError(f"the Cloud TPU API limits the hours of flex-start in its queue alone, got hours {job.hours}")
    if job.hours is not None and job.hours > 168 and job.capacity == "flex-start":
        raise UsageError(f"hours of flex-start must be at most 168, got {job.hours}")
    if job.plane == "gke" and job.bucket is None:
        raise UsageError("a pod's disk goes with the pod: bucket must be given on GKE, got none")
    if job.plane == "gke" and (job.data_disk or job.hours or job.network or job.subnetwork or job.internal):
        raise UsageError(
            "data_disk, hours, network, subnetwork and internal must be left out on GKE: xpk has its own ways"
        )
