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
