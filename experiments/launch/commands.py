"""A command of somebody else's program: its words, what it is for, and how to take back what it makes."""

import dataclasses
import shlex
from collections.abc import Iterator, Sequence

WIDTH = 110
SECRETS_FILE = "SECRETS_FILE"  # stands for a private file that is made for the command and removed after it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Command:
    """Words without a shell around them, so that nothing in a name is taken for syntax.

    A command may be repeated every half minute until it prints one word, or be required to print a text.
    """

    words: tuple[str, ...]
    why: str  # what it does, a phrase
    into: tuple[tuple[str, ...], ...] = ()  # further commands; each reads what the one before it prints
    makes: str = ""  # what exists afterwards and can be deleted
    undo: tuple[str, ...] = ()  # the words that delete it
    loses: str = ""  # what is lost with it, and how long deleting takes
    optional: bool = False  # the next command runs even where this one fails, as deleting what is not there does
    until: str = ""  # it is repeated until it prints this
    unless: tuple[str, ...] = ()  # and given up where it prints one of these
    tries: int = 1  # it is repeated until it succeeds, so often at most
    prints: str | None = None  # what it must print
    otherwise: str = ""  # what it means where it does not
    secrets: tuple[str, ...] = ()  # names of environment variables that go into the file of secrets
    named: bool = False  # only their names do, since the command has the values in its own environment


def shell(command: Command) -> str:
    """What could be typed into a shell to the same effect, after a comment that says what it is for.

    >>> print(shell(Command(words=("gcloud", "storage", "ls", "gs://a b"), why="lists the bucket")))
    # lists the bucket
    gcloud storage ls 'gs://a b'
    """
    return "\n".join([*(f"# {note}" for note in _notes(command)), text(command)])


def text(command: Command) -> str:
    """The command alone."""
    return " |\n  ".join(wrapped(words) for words in (command.words, *command.into))


def wrapped(words: Sequence[str], width: int = WIDTH) -> str:
    """Quoted words, with a backslash at the end of each line but the last.

    >>> print(wrapped(("gcloud", "create", "--zone=a", "--name=it's"), width=20))
    gcloud create \\
      --zone=a \\
      '--name=it'"'"'s'
    """
    lines, line = [], ""
    for word in map(shlex.quote, words):
        if line and len(line) + len(word.splitlines()[0]) + 1 > width:
            lines.append(line)
            line = f"  {word}"
        else:
            line = f"{line} {word}" if line else word
    return " \\\n".join([*lines, line])


def _notes(command: Command) -> Iterator[str]:
    yield command.why
    if command.secrets:
        what = f"the {'names' if command.named else 'values'} of {', '.join(command.secrets)}"
        yield f"{SECRETS_FILE} is a private file with {what}; it is removed afterwards and never printed"
    if command.until:
        ends = f"; {' or '.join(command.unless)} ends the waiting" if command.unless else ""
        yield f"repeated every 30 s until it prints {command.until}{ends}"
    if command.optional:
        yield "the next command runs even if this one fails, as where there is nothing to delete"
    if command.tries > 1:
        yield f"tried every 30 s until it succeeds, {command.tries} times at most"
    if command.prints is not None:
        yield f"must print {command.prints or 'nothing'}, otherwise {command.otherwise}"
    if command.makes:
        yield f"makes {command.makes}"
        yield f"undone by: {shlex.join(command.undo)}"
    if command.loses:
        yield f"lost with it: {command.loses}"
