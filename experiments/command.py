"""What all entry points share: configs, flags, exit statuses.  Importing it imports no JAX."""

import contextlib
import dataclasses
import functools
import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn, TextIO

import tyro

from experiments.fingerprint import fingerprint, same_code
from experiments.mistakes import users_mistakes
from fjdl import peers
from fjdl.errors import FjdlError, UsageError
from fjdl.signals import Answer, grant, stop_requests

_PEERS = 4.0  # seconds in which a process learns that its error is the end of another one


class Experiment(NamedTuple):
    """A recipe and where it came from."""

    recipe: Any  # fjdl.train.Recipe, which would import JAX
    config: dict[str, Any]  # path, sha256 of the code, resolved arguments


def run_guarded(main: Callable[[], None]) -> None:
    """Runs `main`; an error the user can act on becomes one sentence and an exit status, a bug a traceback.

    SIGINT, SIGTERM and SIGHUP end it with 128 and their number, even one whose `KeyboardInterrupt` Python discards. A
    reader of the output who leaves, as `head` does, ends it without a word, with 128 and the number of SIGPIPE.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _readers_may_leave():
        _answered(main)


def _answered(main: Callable[[], None]) -> None:
    """`main`, with a sentence and a status for each error and signal."""
    request = None
    try:
        with stop_requests(answer=Answer.RAISE) as request:
            main()
            grant()
        peers.leave()
    except FjdlError as error:
        _end(str(error), error.exit_status)
    except KeyboardInterrupt:
        number = (request and request.number) or signal.SIGINT
        _end(f"stopped by {signal.Signals(number).name}", 128 + number)
    except SystemExit as end:  # tyro's, which has said what is wrong
        if end.code and peers.current() is not None:
            _leave("its command line is wrong, it has said how", int(end.code))
        raise
    except Exception as error:
        if peers.current() is not None:  # most often it is the end of a peer, of which the line knows more
            time.sleep(_PEERS)
            traceback.print_exc()
            _leave(" ".join(str(error).split()) or type(error).__name__, 1)
        raise


def _end(sentence: str, status: int) -> NoReturn:
    """Says the sentence and exits; of several processes this one waits for no other, which hear the sentence too."""
    if peers.current() is None:
        sys.exit(_fail(sentence, status))
    _fail(sentence, status)
    _leave(sentence, status)


def _leave(why: str, status: int) -> NoReturn:
    """Tells the other processes and exits; the way that Python exits would wait for them."""
    peers.leave(why=why, status=status)
    _flushed()
    os._exit(status)


def split_at_dashes(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """What stands before the first -- and what stands behind it."""
    place = words.index("--") if "--" in words else len(words)
    return [*words[:place]], tuple(words[place + 1 :])


def parse(options: type, arguments: list[str]) -> tuple[Any, Experiment]:
    """The options and the experiment of a command line whose first `.py` argument is a config.

    The arguments of the config's `recipe` are flags beside the options', with their defaults and docstrings.
    """
    path = config_among(arguments)
    if path is None:
        tyro.cli(options, args=arguments)
        raise UsageError("a config is needed, such as configs/digits_lenet.py, got none")
    build = load_config(path)
    enable_compilation_cache()
    grant()

    @functools.wraps(build)
    def resolved(**values: Any) -> Experiment:
        return Experiment(_build(build, values), describe(path, values))

    command = dataclasses.make_dataclass(
        "Command",
        [
            ("options", Annotated[options, tyro.conf.arg(name="")]),
            ("experiment", Annotated[Experiment, tyro.conf.arg(name="", constructor=resolved)]),
        ],
    )
    parsed = tyro.cli(command, args=arguments, description=(build.__doc__ or "").strip())
    return parsed.options, parsed.experiment  # type: ignore[attr-defined]


def config_among(arguments: Sequence[str]) -> Path | None:
    """The config of a command line: its first argument that ends in `.py`."""
    return next((Path(word) for word in arguments if word.endswith(".py")), None)


def open_experiment(run: Path) -> Experiment:
    """The experiment that a run directory records, by the config that it keeps.

    A run of an older version keeps none: the file that it names is read, with a warning where its code has changed.
    """
    from fjdl.train.config_files import load_kept_config
    from fjdl.train.rundir import RunDirectory
    from fjdl.train.usable import SKIP_BAD

    recorded = _recorded(run)
    if recorded is None:
        raise UsageError(f"{run} is not a run directory: it has no config.json")
    kept, path = RunDirectory(path=run).config_text, Path(recorded["config"])
    build = load_kept_config(kept) if kept.exists() else load_config(path)
    enable_compilation_cache()
    config = recorded
    if not kept.exists() and not same_code(path, recorded["sha256"]):
        config = describe(path, recorded["arguments"])
        print(f"warning: {path} has changed since {run} was made, its commit is in git.json there", file=sys.stderr)
    experiment = Experiment(_build(build, recorded["arguments"]), config)
    return skipping_bad(experiment) if recorded.get(SKIP_BAD) else experiment


def skipping_bad(experiment: Experiment) -> Experiment:
    """The experiment without bad examples, which is another one: its run directory records that."""
    from fjdl.train.usable import SKIP_BAD, without_bad_examples

    return Experiment(without_bad_examples(experiment.recipe), {**experiment.config, SKIP_BAD: True})


def as_recorded(config: dict[str, Any], run: Path) -> dict[str, Any]:
    """The description with the hash that the run directory has for this code, where that is one of an older version."""
    recorded = _recorded(run)
    same = recorded is not None and same_code(Path(config["config"]), recorded["sha256"])
    return {**config, "sha256": recorded["sha256"]} if recorded and same else config


def load_config(path: Path) -> Callable[..., Any]:
    """The function `recipe` of a config file."""
    from fjdl.train.config_files import load_config

    return load_config(path)


def describe(path: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """What config.json holds: the file, a hash of its code on every version of Python, the resolved arguments."""
    name = os.path.relpath(path) if path.is_absolute() else str(path)
    return {"config": name, "sha256": fingerprint(path.read_bytes()), "arguments": arguments}


def enable_compilation_cache() -> None:
    """Compiled programs are kept in `JAX_COMPILATION_CACHE_DIR`, by default in the user's private cache.

    One that cannot be kept, as on a full disk, is compiled again the next time, and so is one that cannot be read: JAX
    (0.10.2 and 0.12.0) does not write them at once, so a run beside this one may leave half of it for a moment.
    """
    import jax

    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache entry")

    jax.config.update("jax_compilation_cache_dir", compilation_cache())
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def compilation_cache() -> str:
    """The folder of compiled programs."""
    return os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(Path.home() / ".cache" / "fjdl" / "xla")


@contextlib.contextmanager
def _readers_may_leave() -> Iterator[None]:
    """A reader of what is printed inside who is gone is an exit and no error."""
    leaving = 128 + signal.SIGPIPE
    try:
        yield
    except SystemExit as end:
        if not _flushed() and not end.code:
            sys.exit(leaving)
        raise
    except BrokenPipeError:
        if not _without_reader(sys.stdout) and not _without_reader(sys.stderr):
            raise  # another pipe: a bug
        _flushed()
        sys.exit(leaving)
    if not _flushed():
        sys.exit(leaving)


def _flushed() -> bool:
    """Whether all that was printed had a reader; what had none is dropped, since Python prints it again at its end."""
    whole = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            whole = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return whole


def _without_reader(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _recorded(run: Path) -> dict[str, Any] | None:
    from fjdl.train.documents import CONFIG, read_sealed
    from fjdl.train.json_files import read_json

    path = run / "config.json"
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or not CONFIG.keys() <= content.keys():
        raise UsageError(f"{path} was not written by experiments.train")
    return read_sealed(path, CONFIG)


def _build(build: Callable[..., Any], values: dict[str, Any]) -> Any:
    from fjdl.train.config_files import built

    with users_mistakes():
        return built(build, values)


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError):  # a terminal that is gone
        print(f"fjdl: {message}", file=sys.stderr, flush=True)
    return status
