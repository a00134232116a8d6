"""Runs commands one after the other, shows what they print without secrets, and says what stays where one fails."""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from experiments.launch.commands import SECRETS_FILE, Command, shell
from fjdl.errors import FjdlError, UsageError

PAUSE = 30.0  # seconds between two questions whether something is ready
INSTALL = {
    "gcloud": "https://cloud.google.com/sdk/docs/install",
    "xpk": "pip install xpk",
    "kubectl": "gcloud components install kubectl",
}


Secrets = Mapping[str, str]  # values by name
Hide = Callable[[str], str]


class LaunchError(FjdlError):
    """A command of a launch failed, or did not print what it must."""


def show(commands: Iterable[Command], secrets: Secrets) -> None:
    """Prints commands and runs none."""
    hide = hidden(secrets)
    for command in commands:
        print(hide(shell(command)), end="\n\n", flush=True)


def execute(commands: Sequence[Command], secrets: Secrets, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Prints each command and runs it; `secrets` are the values of environment variables by name.

    Raises `UsageError` before anything runs where a program is missing, and `LaunchError` at the first command that
    fails, with what may exist by then and the commands that delete it.
    """
    _require_programs(commands)
    hide = hidden(secrets)
    for number, command in enumerate(commands):
        print(hide(shell(command)), flush=True)
        try:
            _run(command, secrets, hide, sleep)
        except LaunchError as error:
            if not command.optional:
                raise LaunchError(hide(f"{error}; {_left(commands, number)}")) from None
            print(hide(f"warning: {error}"), file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            if any(done.makes for done in commands[: number + 1]):
                print(hide(f"fjdl: stopped here; {_left(commands, number)}"), file=sys.stderr, flush=True)
            raise
        print(flush=True)


def hidden(secrets: Secrets) -> Hide:
    """A function that puts *** where the value of a secret stands in a text, with the secret's name behind it."""
    values = sorted(secrets.items(), key=lambda item: -len(item[1]))
    quoted = [(name, form) for name, value in values for form in dict.fromkeys((value, shlex.quote(value)))]

    def hide(text: str) -> str:
        for name, value in quoted:
            text = text.replace(value, f"***{name}")
        return text

    return hide


def values_of(names: Iterable[str]) -> dict[str, str]:
    """The values of environment variables; raises `UsageError` for one that is not set, short, or of several lines."""
    found = {}
    for name in names:
        value = os.environ.get(name, "")
        if len(value) < 8 or "\n" in value:
            what = "is not set" if not value else "must be a line of 8 characters or more"
            raise UsageError(f"the environment variable {name}, which secrets name, {what}")
        found[name] = value
    return found


def _run(command: Command, secrets: Secrets, hide: Hide, sleep: Callable[[float], None]) -> None:
    with _secrets_file(command, secrets) as path:
        stages = [
            [path if word == SECRETS_FILE else word.replace(f"={SECRETS_FILE}", f"={path}") for word in words]
            for words in (command.words, *command.into)
        ]
        printed = _tried(stages, command.tries, hide, sleep)
        while command.until and printed != command.until:
            if printed in command.unless:
                raise LaunchError(f"it became {printed}, and will not be {command.until}")
            sleep(PAUSE)
            printed = _pipeline(stages, hide)
    if command.prints is not None and printed != command.prints:
        raise LaunchError(f"{_named(command)} printed {printed or 'nothing'!r}: {command.otherwise}")


def _tried(stages: list[list[str]], tries: int, hide: Hide, sleep: Callable[[float], None]) -> str:
    """What the commands print at the first time that they succeed."""
    for _ in range(tries - 1):
        try:
            return _pipeline(stages, hide)
        except LaunchError as error:
            print(hide(f"{error}; tried again in {PAUSE:g} s"), file=sys.stderr, flush=True)
            sleep(PAUSE)
    return _pipeline(stages, hide)


def _pipeline(stages: list[list[str]], hide: Hide) -> str:
    """What the last stage prints; the others' output is the next one's input."""
    printed = ""
    for number, words in enumerate(stages):
        if number and not printed.strip():
            raise LaunchError(f"`{_short(stages[0])}` printed nothing: there are no machines")
        printed = _stage(words, printed if number else None, hide, quiet=number < len(stages) - 1)
    return printed.strip()


def _stage(words: list[str], given: str | None, hide: Hide, *, quiet: bool) -> str:
    """Runs one program, shows its lines as they come, and returns its output; raises `LaunchError` for a bad status."""
    reads = subprocess.DEVNULL if given is None else subprocess.PIPE
    with subprocess.Popen(
        words, stdin=reads, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", bufsize=1
    ) as process:
        errors = threading.Thread(target=_copied, args=(process.stderr, sys.stderr, hide), daemon=True)
        errors.start()
        try:
            _give(process.stdin, given)
            lines = [_shown(line, sys.stdout, hide, quiet=quiet) for line in process.stdout or ()]
        except BaseException:
            process.terminate()
            raise
        finally:
            errors.join(timeout=5)
    if process.returncode:
        raise LaunchError(f"`{_short(words)}` ended with status {process.returncode}")
    return "".join(lines)


def _give(stdin: IO[str] | None, text: str | None) -> None:
    """Writes a program's input, which it need not read."""
    if stdin is not None:
        with contextlib.suppress(BrokenPipeError), stdin:
            stdin.write(text or "")


def _copied(source: Iterable[str], to: IO[str], hide: Hide) -> None:
    for line in source:
        _shown(line, to, hide, quiet=False)


def _shown(line: str, to: IO[str], hide: Hide, *, quiet: bool) -> str:
    if not quiet:
        print(hide(line), end="", file=to, flush=True)
    return line


@contextlib.contextmanager
def _secrets_file(command: Command, secrets: Secrets) -> Iterator[str]:
    """A file that only this user reads, with a line for each secret that the command names."""
    if not command.secrets:
        yield ""
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "secrets.env"
        path.touch(mode=0o600)
        lines = (name if command.named else f"{name}={shlex.quote(secrets[name])}" for name in command.secrets)
        path.write_text("".join(f"{line}\n" for line in lines))
        yield str(path)


def _require_programs(commands: Iterable[Command]) -> None:
    programs = dict.fromkeys(words[0] for command in commands for words in (command.words, *command.into))
    for program in programs:
        if shutil.which(program) is None:
            where = f", see {INSTALL[program]}" if program in INSTALL else ""
            raise UsageError(f"the program {program} must be installed and on PATH, and is not{where}")


def _left(commands: Sequence[Command], last: int) -> str:
    """What may exist after the commands up to the one of that number, and how it is deleted."""
    made, rest = [command for command in commands[: last + 1] if command.makes], len(commands) - last - 1
    after = f"the {rest} command{'s' * (rest > 1)} after it did not run" if rest else "no command was left"
    if not made:
        return f"{after}, and nothing was made by these"
    things = ", ".join(command.makes.split(",")[0] for command in made)
    undo = " && ".join(dict.fromkeys(shlex.join(command.undo) for command in reversed(made)))
    return f"{after}; this may exist now: {things}; to delete it: {undo}"


def _named(command: Command) -> str:
    return f"`{_short(command.words)}`"


def _short(words: Sequence[str]) -> str:
    """A command without its flags."""
    plain = [word for word in words if not word.startswith("-") and "\n" not in word]
    return shlex.join(plain[:8])
