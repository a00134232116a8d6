"""A job on Google Kubernetes Engine, through xpk, which makes clusters, containers and jobs."""

from experiments.launch import machine
from experiments.launch.commands import SECRETS_FILE, Command
from experiments.launch.job import Job
from experiments.launch.machines import from_bucket, packs, project_and_zone

BASE = "python:3.12"  # the image that the repository is put into; one with JAX in it starts faster
RESTARTS = 50
CAPACITY = {"on-demand": "--on-demand", "spot": "--spot", "flex-start": "--flex"}


def create(job: Job) -> list[Command]:
    """A cluster with one slice; nothing but the way to it where the job names one that is there."""
    if job.cluster:
        return [credentials(job)]
    return [
        Command(
            words=(
                "xpk", "cluster", "create", f"--cluster={cluster(job)}", f"--tpu-type={job.slice.type}",
                "--num-slices=1", CAPACITY[job.capacity], *project_and_zone(job),
            ),
            why="makes a cluster and its node pools, some twenty minutes",
            makes=f"the GKE cluster {cluster(job)}, billed with its nodes from now on",
            undo=_delete_cluster(job)[0].words,
            loses="all jobs of the cluster; ten minutes",
        )
    ]  # fmt: skip


def sync(job: Job, commit: str) -> list[Command]:
    """The files of a commit in a folder, which xpk puts into the container."""
    archive = f"build/{job.name}.tar"
    return [
        Command(words=("rm", "-rf", source(job)), why="removes what was packed before"),
        Command(words=("mkdir", "-p", source(job)), why="makes the folder of the container's files"),
        Command(words=("git", "archive", "--format=tar", f"--output={archive}", commit), why=packs(job, commit)),
        Command(words=("tar", "-xf", archive, "-C", source(job)), why="unpacks it into the folder"),
    ]


def run(job: Job) -> list[Command]:
    """A job of the cluster, started again up to fifty times where its machines are taken away."""
    secrets = (f"--env-file={SECRETS_FILE}",) if job.secrets else ()
    return [
        Command(
            words=(
                "xpk", "workload", "create", f"--workload={job.name}", f"--cluster={cluster(job)}",
                f"--tpu-type={job.slice.type}", "--num-slices=1", *project_and_zone(job),
                f"--base-docker-image={job.image or BASE}", f"--script-dir={source(job)}",
                f"--max-restarts={RESTARTS}", "--termination-grace-period-seconds=120", *secrets,
                f"--command={machine.in_a_pod(job)}",
            ),
            why="builds the container and starts the training on every machine",
            makes=f"the job {job.name} in {cluster(job)}",
            undo=_delete_workload(job).words,
            loses="what the run has not yet written to its bucket; a minute",
            secrets=job.secrets,
            named=True,
        )
    ]  # fmt: skip


def logs(job: Job) -> list[Command]:
    """Follows the output of all machines, each line behind the name of its pod."""
    return [
        credentials(job),
        Command(
            words=(
                "kubectl", "logs", "--follow", "--prefix", "--all-containers", "--tail=50",
                f"--selector=jobset.sigs.k8s.io/jobset-name={job.name}", f"--max-log-requests={4 * job.slice.hosts}",
            ),
            why="follows the output of all machines; ctrl-c ends only that",
        ),
    ]  # fmt: skip


def fetch(job: Job) -> list[Command]:
    """Copies the run from its bucket."""
    return [Command(words=("mkdir", "-p", job.folder), why="makes the folder of the run"), from_bucket(job)]


def delete(job: Job) -> list[Command]:
    """Ends the job, and deletes the cluster where it was made for the job; looks whether they are gone."""
    if not job.cluster:
        return [_delete_workload(job), *_delete_cluster(job)]
    left = Command(
        words=("kubectl", "get", "jobsets", f"--field-selector=metadata.name={job.name}", "--output=name"),
        why="looks whether the job is gone",
        prints="",
        otherwise="the job is still there and holds its machines",
    )
    return [_delete_workload(job), credentials(job), left]


def credentials(job: Job) -> Command:
    """Lets kubectl talk to the cluster, which xpk makes for the whole region."""
    words = (
        "gcloud", "container", "clusters", "get-credentials", cluster(job), f"--project={job.project}",
        f"--location={job.region}",
    )  # fmt: skip
    return Command(words=words, why="lets kubectl talk to the cluster")


def cluster(job: Job) -> str:
    """The cluster's name."""
    return job.cluster or job.name


def source(job: Job) -> str:
    """The folder whose files are put into the container."""
    return f"build/{job.name}"


def _delete_workload(job: Job) -> Command:
    words = ("xpk", "workload", "delete", f"--workload={job.name}", *_where(job), "--force")
    return Command(words=words, why="ends the job", optional=True)


def _delete_cluster(job: Job) -> list[Command]:
    words = ("xpk", "cluster", "delete", *_where(job), "--force")
    return [
        Command(words=words, why="deletes the cluster with its nodes", optional=True),
        Command(
            words=(
                "gcloud", "container", "clusters", "list", f"--project={job.project}",
                f"--filter=name={cluster(job)}", "--format=value(name)",
            ),
            why="looks whether the cluster is gone",
            prints="",
            otherwise="the cluster is still there and is billed",
        ),
    ]  # fmt: skip


def _where(job: Job) -> tuple[str, ...]:
    return f"--cluster={cluster(job)}", *project_and_zone(job)
