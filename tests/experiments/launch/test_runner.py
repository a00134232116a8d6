"""What --yes executes: a gcloud and an xpk that write down their words, and fail where a test wants them to."""

import json
import os
import sys
from pathlib import Path

import pytest

from experiments.launch import runner
from experiments.launch.commands import SECRETS_FILE, Command
from experiments.launch.runner import LaunchError, execute, hidden, show, values_of
from fjdl.errors import UsageError
from tests.experiments.launch.jobs import JOBS
from tests.experiments.support import USAGE, Command as Run, sentence

SECRET = "sesame-0pen'quoted"
TOOL = """#!{python}
import json, os, sys
from pathlib import Path
home = Path({home!r})
words = [Path(sys.argv[0]).name, *sys.argv[1:]]
files = [Path(word.removeprefix("--env-file=")) for word in words]
held = [(f.read_text(), oct(f.stat().st_mode)[-3:]) for f in files if f.name == "secrets.env" and f.is_file()]
with open(home / "calls.jsonl", "a") as log:
    log.write(json.dumps({{"words": words, "files": held}}) + "\\n")
answers = json.loads((home / "answers.json").read_text())
for rule, given in answers.items():
    if rule in " ".join(words):
        text, status = given.pop(0) if len(given) > 1 else given[0]
        (home / "answers.json").write_text(json.dumps(answers))
        print(text)
        sys.exit(status)
"""


class Fake:
    """The programs, what they were called with, and what they answer: by a part of their words, one after another."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "answers.json").write_text("{}")
        for name in ("gcloud", "xpk", "kubectl"):
            (home / name).write_text(TOOL.format(python=sys.executable, home=str(home)))
            (home / name).chmod(0o755)

    def answers(self, answers: dict[str, list[tuple[str, int]]]) -> None:
        (self.home / "answers.json").write_text(json.dumps(answers))

    @property
    def calls(self) -> list[dict[str, list[str]]]:
        path = self.home / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def spoken(self) -> list[str]:
        """Program and the words before the flags of each call."""
        return [" ".join(word for word in call["words"] if not word.startswith("-")) for call in self.calls]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setattr(runner, "PAUSE", 0.0)
    return Fake(tmp_path)


def flags(name: str) -> list[str]:
    job = JOBS[name]
    values = {"name": job.name, "project": job.project, "zone": job.zone, "accelerator": job.accelerator}
    values |= {"plane": job.plane, "capacity": job.capacity}
    values |= {key: value for key in ("bucket", "hours", "cluster") if (value := getattr(job, key))}
    words = [word for key, value in values.items() for word in (f"--{key}", str(value))]
    return [str(job.config), *words, *(("--secrets", *job.secrets) if job.secrets else ())]


def test_nothing_runs_without_yes(command: Run, fake: Fake) -> None:
    for verb in ("create", "run", "logs", "fetch", "delete"):
        outcome = command("tpu", verb, *flags("queued_pod"))
        assert outcome.status == 0
        assert outcome.out.endswith("nothing was run: --yes runs these commands\n")
        assert SECRET not in outcome.out
    assert fake.calls == []


def test_a_queued_request_is_waited_for_and_its_machines_are_counted(command: Run, fake: Fake) -> None:
    fake.answers(
        {
            "queued-resources describe": [("WAITING_FOR_RESOURCES", 0), ("PROVISIONING", 0), ("ACTIVE", 0)],
            "tpu-vm describe": [("4", 0)],
        }
    )
    outcome = command("tpu", "create", *flags("queued_pod"), "--yes")
    assert outcome.status == 0, outcome.err
    asked = "gcloud compute tpus queued-resources describe fjdl-mnist-qr"
    assert fake.spoken == [
        "gcloud compute tpus queued-resources create fjdl-mnist-qr",
        *[asked] * 3,
        "gcloud compute tpus tpu-vm describe fjdl-mnist",
    ]


def test_a_request_that_is_taken_away_ends_the_waiting(command: Run, fake: Fake) -> None:
    fake.answers({"queued-resources describe": [("PROVISIONING", 0), ("SUSPENDED", 0)]})
    outcome = command("tpu", "create", *flags("queued_pod"), "--yes")
    assert outcome.status == 1
    said = outcome.err.splitlines()[-1]
    assert said.startswith("fjdl: it became SUSPENDED, and will not be ACTIVE; the 1 command after it did not run")
    assert "this may exist now: the request fjdl-mnist-qr; to delete it: gcloud compute tpus queued-resources" in said


def test_other_machines_than_planned_are_said_with_how_to_delete_them(command: Run, fake: Fake) -> None:
    fake.answers({"queued-resources describe": [("ACTIVE", 0)], "tpu-vm describe": [("2", 0)]})
    said = command("tpu", "create", *flags("queued_pod"), "--yes").err.splitlines()[-1]
    assert "`gcloud compute tpus tpu-vm describe fjdl-mnist` printed '2'" in said
    assert "the slice is not the one of 4 hosts that was planned; no command was left; this may exist now" in said


def test_a_group_that_fails_half_way_names_what_exists_and_delete_removes_it(command: Run, fake: Fake) -> None:
    fake.answers({"managed create": [("ERROR: quota", 1)]})
    outcome = command("tpu", "create", *flags("group"), "--yes")
    assert outcome.status == 1
    assert "ERROR: quota" in outcome.out
    said = outcome.err.splitlines()[-1]
    assert said.startswith(
        "fjdl: `gcloud compute instance-groups managed create fjdl-mnist` ended with status 1; the 2"
    )
    things = "the workload policy fjdl-mnist, the instance template fjdl-mnist, the instance group fjdl-mnist"
    assert f"this may exist now: {things}; to delete it: gcloud compute instance-groups managed delete" in said
    assert [word.split()[2] for word in fake.spoken] == ["resource-policies", "instance-templates", "instance-groups"]
    fake.answers({"managed delete": [("not found", 1)], "instances list": [("", 0)]})
    outcome = command("tpu", "delete", *flags("group"), "--yes")
    assert outcome.status == 0
    assert "warning: `gcloud compute instance-groups managed delete fjdl-mnist` ended with status 1" in outcome.err
    assert fake.spoken[-3:] == [
        "gcloud compute instance-templates delete fjdl-mnist",
        "gcloud compute resource-policies delete fjdl-mnist",
        "gcloud compute instances list",
    ]


def test_what_is_left_after_deleting_is_an_error(command: Run, fake: Fake) -> None:
    fake.answers({"tpu-vm list": [("projects/p/locations/z/nodes/fjdl-mnist", 0)]})
    outcome = command("tpu", "delete", *flags("tpu_vm_spot"), "--yes")
    assert outcome.status == 1
    assert "the machines are still there and are billed" in sentence(outcome)


def test_every_machine_of_a_group_gets_the_command(fake: Fake) -> None:
    fake.answers({"list-instances": [("fjdl-a\nfjdl-b\nfjdl-c", 0)]})
    names = ("gcloud", "list-instances")
    words = ("xargs", "-P", "4", "-I", "@HOST@", "gcloud", "ssh", "@HOST@", "--command=echo $HOME 'a b'")
    execute([Command(words=names, into=(words,), why="speaks to all")], {})
    assert sorted(call["words"][2] for call in fake.calls[1:]) == ["fjdl-a", "fjdl-b", "fjdl-c"]
    assert {call["words"][3] for call in fake.calls[1:]} == {"--command=echo $HOME 'a b'"}
    one = Command(words=names, into=(("sed", "-n", "2p"), words), why="speaks to the second")
    execute([one], {})
    assert fake.calls[-1]["words"][2] == "fjdl-b"
    fake.answers({})
    with pytest.raises(LaunchError, match="`gcloud list-instances` printed nothing: there are no machines"):
        execute([one], {})


def test_one_machine_that_fails_is_a_failure(fake: Fake) -> None:
    fake.answers({"list-instances": [("a\nb", 0)], "ssh b": [("", 1)]})
    words = ("xargs", "-I", "@HOST@", "gcloud", "ssh", "@HOST@")
    with pytest.raises(LaunchError, match="ended with status 123"):
        execute([Command(words=("gcloud", "list-instances"), into=(words,), why="speaks to all")], {})


def test_machines_that_are_not_up_yet_are_tried_again(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answers({"ssh": [("", 255), ("", 255), ("", 0)]})
    execute([Command(words=("gcloud", "ssh"), why="knocks", tries=5)], {})
    assert len(fake.calls) == 3
    assert capsys.readouterr().err.count("`gcloud ssh` ended with status 255; tried again in 0 s") == 2
    fake.answers({"ssh": [("", 255)]})
    with pytest.raises(LaunchError, match="status 255; no command was left, and nothing was made"):
        execute([Command(words=("gcloud", "ssh"), why="knocks", tries=3)], {})


@pytest.mark.parametrize("name", ["queued_pod", "gke"])
def test_secrets_reach_the_machines_and_nothing_else(name: str, command: Run, fake: Fake) -> None:
    fake.answers({"ssh": [(f"the key is {SECRET}!", 0)], "workload": [(f"the key is {SECRET}!", 0)]})
    outcome = command("tpu", "run", *flags(name), "--yes")
    assert outcome.status == 0, outcome.err
    assert "the key is ***WANDB_API_KEY!" in outcome.out
    assert SECRET not in outcome.out + outcome.err
    assert not any(SECRET in word for call in fake.calls for word in call["words"])
    ((text, mode),) = [file for call in fake.calls for file in call["files"]]
    assert mode == "600"
    assert text == ("WANDB_API_KEY\n" if name == "gke" else "WANDB_API_KEY='sesame-0pen'\"'\"'quoted'\n")
    paths = [word.removeprefix("--env-file=") for call in fake.calls for word in call["words"] if "secrets.env" in word]
    assert paths
    assert not any(Path(path).exists() for path in paths)


def test_a_secret_that_is_not_set_stops_before_anything_runs(
    command: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    outcome = command("tpu", "run", *flags("queued_pod"), "--yes")
    assert outcome.status == USAGE
    assert sentence(outcome) == "the environment variable WANDB_API_KEY, which secrets name, is not set"
    for value in ("short", "two\nlines of text"):
        monkeypatch.setenv("WANDB_API_KEY", value)
        with pytest.raises(UsageError, match="must be a line of 8 characters or more") as caught:
            values_of(["WANDB_API_KEY"])
        assert value not in str(caught.value)
    assert fake.calls == []


def test_values_are_hidden_the_longest_first() -> None:
    hide = hidden({"A": "secret-one", "B": "secret-one-and-more"})
    assert hide("x secret-one-and-more y secret-one z") == "x ***B y ***A z"
    assert hidden({})("text") == "text"


def test_secrets_among_the_words_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show([Command(words=("echo", SECRET, SECRETS_FILE), why="speaks")], {"KEY": SECRET})
    out = capsys.readouterr().out
    assert "***KEY" in out
    assert "sesame" not in out


def test_a_program_that_is_missing_is_named_before_anything_runs(
    command: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fake.home / "xpk").unlink()
    monkeypatch.setenv("PATH", f"{fake.home}:/usr/bin:/bin")
    outcome = command("tpu", "create", *flags("gke"), "--yes")
    assert outcome.status == USAGE
    assert sentence(outcome) == "the program xpk must be installed and on PATH, and is not, see pip install xpk"


def test_an_interrupt_says_what_exists(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    fake.answers({"describe": [("WAITING", 0)]})
    made = Command(words=("gcloud", "create"), why="makes", makes="a machine, billed", undo=("gcloud", "delete"))
    waits = Command(words=("gcloud", "describe"), why="waits", until="ACTIVE")
    with pytest.raises(KeyboardInterrupt):
        execute([made, waits], {}, sleep=interrupted)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        "fjdl: stopped here; no command was left; this may exist now: a machine; to delete it: gcloud delete"
    )
    with pytest.raises(KeyboardInterrupt):
        execute([waits], {}, sleep=interrupted)
    assert "stopped here" not in capsys.readouterr().err
