"""What the machines are told: shell scripts that install fjdl, start a training once, and show its log."""

import shlex
from pathlib import Path

from experiments.launch.job import Job

LOGS = "fjdl-logs"
UV = "https://astral.sh/uv/install.sh"
RESTARTED = Path(__file__).parents[1] / "supervise.py"  # the command that starts a training again until it is done


def training(job: Job) -> list[str]:
    """The words of the training, the same on every machine; those that start it again where fjdl has such a command."""
    command = ["experiments.supervise", "--"] if RESTARTED.is_file() else ["experiments.train"]
    bucket = ["--bucket", job.run_dir] if job.bucket else []
    return ["python", "-m", *command, str(job.config), "--run-dir", job.folder, *bucket, *job.arguments]


def install(job: Job, commit: str) -> str:
    """Python 3.12 beside the image's 3.10, the commit, and the versions that it asks for; again does no harm."""
    bundle = f"$HOME/{job.name}.bundle"
    return _script(
        "set -eu",
        *(_MOUNT if job.data_disk else ()),
        "command -v git > /dev/null || { sudo apt-get update -qq && sudo apt-get install -y -qq git; }",
        f'[ -x "$HOME/.local/bin/uv" ] || curl -LsSf {UV} | sh',
        f'[ -d "$HOME/fjdl" ] || git clone -q "{bundle}" "$HOME/fjdl"',
        f'git -C "$HOME/fjdl" fetch -q "{bundle}" {shlex.quote(job.ref)}',
        f'git -C "$HOME/fjdl" checkout -q --detach {commit}',
        '[ -d "$HOME/venv" ] || "$HOME/.local/bin/uv" venv -q --python 3.12 "$HOME/venv"',
        'VIRTUAL_ENV="$HOME/venv" "$HOME/.local/bin/uv" pip install -q -e "$HOME/fjdl[tpu]"',
    )


def run(job: Job) -> str:
    """Starts the training in the background, once: a second start while it runs is refused with status 1."""
    log, lock = f'"$HOME/{LOGS}/{job.name}.log"', f'"$HOME/{LOGS}/{job.name}.lock"'
    return _script(
        "set -eu",
        f'mkdir -p "$HOME/{LOGS}"',
        f"flock -n {lock} true || {{ echo {job.name} is running already >&2; exit 1; }}",
        'cd "$HOME/fjdl"',
        '. "$HOME/venv/bin/activate"',
        *((f'set -a; . "$HOME/{secrets_file(job)}"; set +a',) if job.secrets else ()),
        'export JAX_PLATFORMS=tpu,cpu JAX_COMPILATION_CACHE_DIR="$HOME/jax-cache"',
        *(('export FJDL_DATA_DIR="/mnt/data"',) if job.data_disk else ()),
        f"nohup setsid flock -n {lock} {shlex.join(training(job))} >> {log} 2>&1 < /dev/null &",
        f"echo started {job.name}",
    )


def follow(job: Job) -> str:
    """The end of the log, and what is added to it."""
    return f'tail -n 50 -F "$HOME/{LOGS}/{job.name}.log"'


def secrets_file(job: Job) -> str:
    """The file with secrets in a machine's home."""
    return f".{job.name}.env"


def in_a_pod(job: Job) -> str:
    """The same in a container, in one line, where the repository is the current folder and JAX may be there already."""
    return f"pip install -q -e '.[tpu]' && export JAX_PLATFORMS=tpu,cpu && {shlex.join(training(job))}"


def _script(*lines: str) -> str:
    return "\n".join(lines)


_MOUNT = (
    "if ! mountpoint -q /mnt/data; then",
    """  disk=$(lsblk -rnpo NAME,FSTYPE,MOUNTPOINT | awk '$2 == "ext4" && NF == 2 { print $1 }')""",
    '  [ "$(echo "$disk" | wc -w)" = 1 ] || { echo "one disk must be free to be mounted, got: $disk" >&2; exit 1; }',
    '  sudo mkdir -p /mnt/data && sudo mount -o ro,noload "$disk" /mnt/data',
    "fi",
)
