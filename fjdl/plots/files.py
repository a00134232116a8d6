"""Figures on disk."""

from pathlib import Path

from matplotlib.figure import Figure

from fjdl.errors import StorageError, UsageError
from fjdl.files import replacing

DOTS_PER_INCH = 150


def save(figure: Figure, path: Path | str, *, about: str | None = None) -> None:
    """Writes a PNG of 150 dots per inch that appears under its name only when it is complete.

    `about` becomes the text `Description` in the file, which says what the picture shows to those who read files.
    Folders that are missing are created. Raises `ValueError` for another suffix than .png, and `StorageError` where the
    file cannot be written; what was there before stays.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise UsageError(f"path must end in .png, got {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            figure.savefig(part, format="png", dpi=DOTS_PER_INCH, metadata=about and {"Description": about})
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
