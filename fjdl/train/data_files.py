"""What a run keeps of how its examples were made, such as the vocabulary that its parameters belong to."""

from fjdl.data.source import Splits
from fjdl.errors import DataError
from fjdl.files import write_atomically
from fjdl.train.rundir import RunDirectory


def keep_files(run: RunDirectory, splits: Splits) -> None:
    """Writes the files of the data set into the run where they are not there yet; raises what `require_files` does.

    `left_out.txt` has a line for all that could not be used, as it is now: its paths may be others than at the start.
    """
    require_files(run, splits)
    missing = {name: content for name, content in splits.files().items() if not (run.data / name).exists()}
    if splits.left_out:
        missing["left_out.txt"] = "".join(f"{sentence}\n" for sentence in splits.left_out)
    for name, content in missing.items():
        run.data.mkdir(exist_ok=True)
        write_atomically(run.data / name, content)


def require_files(run: RunDirectory, splits: Splits) -> None:
    """Raises `DataError` where the run was trained with other files than the data set makes now.

    Its parameters then mean other tokens, as may happen with another version of the library that made them.
    """
    for name, content in splits.files().items():
        path = run.data / name
        if path.exists() and path.read_bytes() != content.encode():
            raise DataError(
                f"{path} must be what the data set {splits.name} makes now, got another content: the run was trained "
                "with other data or another version of the library that makes it"
            )
