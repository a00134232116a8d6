"""Errors that end a program: one sentence for the user and one exit status for the shell."""

import signal


class FjdlError(Exception):
    """A failure the user can act on; `exit_status` is what the process ends with."""

    exit_status = 1


class UsageError(FjdlError, ValueError):
    """A flag, a config or an argument is wrong; a `ValueError` as well, for those who call the library."""

    exit_status = 2


class DataError(FjdlError):
    """A data file is missing, damaged or not what it claims to be."""

    exit_status = 3


class DataFormatError(DataError):
    """Bytes of a file are not what its format says; every reader of files raises it for them, and nothing else.

    `offset` is the place in the file, such as "line 3", "row 7" or "byte 4", or None where the file as a whole is
    wrong. `what`, empty for the file itself, had to fulfil `expected`, the words behind "must"; `got` is what it has.

    Example:
        >>> print(DataFormatError("digits.csv", "line 3", "the label", "be a number", "'x'"))
        digits.csv, line 3: the label must be a number, got 'x'
    """

    def __init__(self, path: object, offset: str | None, what: str, expected: str, got: str = "") -> None:
        where = str(path) if offset is None else f"{path}, {offset}"
        rule = f"{what} must {expected}" + (f", got {got}" if got else "")
        super().__init__(f"{where}: {rule}" if what else f"{where}{rule}")
        self.path, self.offset, self.what = str(path), offset, what
        self.expected, self.got = expected, got

    @classmethod
    def told(cls, sentence: str) -> "DataFormatError":
        """The error of a sentence of that form, such as a rule that other tables have as well."""
        where, _, rule = sentence.partition(": ")
        path, _, offset = where.partition(", ")
        what, _, words = rule.partition(" must ")
        expected, _, got = words.rpartition(", got ") if ", got " in words else (words, "", "")
        return cls(path, offset or None, what, expected, got)

    def __reduce__(self) -> tuple[type, tuple[str | None, ...]]:
        return type(self), (self.path, self.offset, self.what, self.expected, self.got)


class CheckpointError(FjdlError):
    """No checkpoint can be restored, or it belongs to something else."""

    exit_status = 4


class DivergedError(FjdlError):
    """Loss or gradients stayed non-finite."""

    exit_status = 5


class Stopped(FjdlError):
    """The program was asked to stop by a signal; `exit_status` is 129 for SIGHUP, 130 for SIGINT, 143 for SIGTERM.

    `then` says what is on the disk and what may be done next.
    """

    def __init__(self, number: int, then: str = "the same command resumes") -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; {then}")
        self.exit_status = 128 + number


class StorageError(FjdlError):
    """A directory cannot be written, is full, or is in use by another run."""

    exit_status = 6


class PeerLost(FjdlError):
    """Another process of the same training is gone, did not come, or was started otherwise."""

    exit_status = 7
