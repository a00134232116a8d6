"""Batches of data sets that are too large for the device, decoded ahead of the step that needs them."""

import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.batch import assembled
from fjdl.checks import at_least, within
from fjdl.data.orders import Order, in_order, shuffled
from fjdl.data.source import Source, require_device_keeps
from fjdl.errors import FjdlError
from fjdl.typing import PRNGKey, PyTree

Batch = dict[str, np.ndarray]
Rows = tuple[np.ndarray, np.ndarray, np.ndarray | None]
HostKey = tuple[bytes, tuple[int, ...], str, str]  # the words of a key, their shape and dtype, and its kind

_lock = threading.Lock()


def load_batches(
    key: PRNGKey,
    source: Source,
    *,
    batch_size: int,
    stop: int,
    start: int = 0,
    order: Order = shuffled,
    ahead: int = 4,
    workers: int = 0,
    rows: np.ndarray | None = None,
) -> Iterator[Batch]:
    """The batches of the steps from `start` to `stop - 1`, counted from 0 over all epochs.

    The batch of a step is a function of `key` and the step alone: the examples that the `order` names, cut to its
    width, with their numbers beside them as `index`, the `epoch` and the `example_mask`, whatever `start`, `ahead` and
    `workers` are. A resumed run passes the steps it has done as `start`. `ahead` batches are made at the same time in
    threads, in each of `workers` processes where there are any; those are spawned, so the main module must be
    importable, and each receives a copy of what `source` refers to. `rows` are the places in each batch whose examples
    are made, all of them by default: processes that share a batch make their own. Raises `DataError` at the step whose
    example cannot be read; raises `ValueError` for negative or decreasing steps and for `ahead` below 1.
    """
    if not 0 <= start <= stop:
        raise ValueError(f"start must lie in [0, {stop}], got {start}")
    words, kind = jax.device_get(jax.random.key_data(key)), str(jax.random.key_impl(key))
    host_key = (words.tobytes(), words.shape, words.dtype.name, kind)
    return _loaded(_Batches(source, batch_size, order, host_key, range(start, stop), rows), ahead, workers)


def load_batches_in_order(
    source: Source,
    *,
    batch_size: int,
    order: Order = in_order,
    ahead: int = 4,
    workers: int = 0,
    rows: np.ndarray | None = None,
) -> Iterator[Batch]:
    """The batches of one pass over the examples in an order without a key, for evaluation; else like `load_batches`."""
    steps = range(order.steps(source.length, batch_size))
    return _loaded(_Batches(source, batch_size, order, None, steps, rows), ahead, workers)


def to_device(
    batches: Iterable[PyTree], *, sharding: jax.sharding.Sharding | None = None, ahead: int = 2
) -> Generator[Any, None, None]:
    """The batches as arrays on the device, or spread as `sharding` says, with `ahead` transfers under way.

    A transfer starts when its batch is taken from `batches`, `ahead` batches before it is given out. NumPy arrays are
    copied first, since a device of the host adopts their memory and others read it later: a loader may fill the same
    arrays again for its next batch. Raises `ValueError` where `ahead` is below 1.
    """
    at_least(1, ahead=ahead)
    return _transferred(batches, sharding, ahead)


def _transferred(
    batches: Iterable[PyTree], sharding: jax.sharding.Sharding | None, ahead: int
) -> Generator[Any, None, None]:
    waiting: deque[Any] = deque()
    for batch in batches:
        waiting.append(_sent(jax.tree_util.tree_map_with_path(_own, batch), sharding))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _sent(batch: Any, sharding: jax.sharding.Sharding | None) -> Any:
    """The batch on the devices; where those of other processes share it, it is their examples of it."""
    if sharding is None or sharding.is_fully_addressable:
        return jax.device_put(batch, sharding)
    with jax.transfer_guard_host_to_device("allow"):
        return jax.tree.map(lambda array: jax.make_array_from_process_local_data(sharding, array), batch)


def _own(path: Any, leaf: Any) -> Any:
    require_device_keeps(f"a batch's {jax.tree_util.keystr(path)}", leaf)
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


class _Batches:
    """The batches of some steps as a sequence; a batch that cannot be made is its error."""

    def __init__(
        self,
        source: Source,
        batch_size: int,
        order: Order,
        key: HostKey | None,
        steps: range,
        places: np.ndarray | None,
    ) -> None:
        self.source, self.batch_size, self.order, self.key, self.steps = source, batch_size, order, key, steps
        self.places = slice(None) if places is None else places
        self.per_epoch = order.steps(source.length, batch_size)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Batch | FjdlError:
        epoch, row = divmod(self.steps[index], self.per_epoch)
        order, length = self.order, self.source.length
        with _lock:
            rows, masks, begins = _rows(order, self.key, epoch, length, self.batch_size)
        indices, here = rows[row], self.places
        begin, mine = None if begins is None else begins[row][here], indices[here]
        try:
            batch = assembled(self.source.element(mine), mine, masks[row][here], epoch=epoch, begins=begin)
        except FjdlError as error:
            return error
        return batch if order.kind is None else order.cuts[int(order.kind(indices))](batch)


@lru_cache(maxsize=2)
def _rows(order: Order, host_key: HostKey | None, epoch: int, length: int, batch_size: int) -> Rows:
    """Indices and masks of an epoch on the host, and which of them begin a sequence where sequences span batches."""
    key = None
    if host_key is not None:
        data, shape, dtype, kind = host_key
        key = jax.random.wrap_key_data(jnp.asarray(np.frombuffer(data, dtype).reshape(shape)), impl=kind)
    indices, masks = order.rows(key, epoch, length=length, batch_size=batch_size)
    return jax.device_get((indices, masks, order.begins(indices, length=length) if order.carries else None))


def _loaded(batches: _Batches, ahead: int, workers: int) -> Iterator[Batch]:
    at_least(1, ahead=ahead)
    within("[0, inf]", workers=workers)
    return _read(batches, ahead, workers) if batches else iter(())


def _read(batches: _Batches, ahead: int, workers: int) -> Iterator[Batch]:
    import grain

    options = grain.ReadOptions(num_threads=ahead, prefetch_buffer_size=ahead)
    dataset = grain.MapDataset.source(batches).to_iter_dataset(options)
    if workers:
        _mark_flags_as_parsed()
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers), worker_init_fn=_on_the_host)
    with closing(iter(dataset)) as iterator:
        for batch in iterator:
            if isinstance(batch, FjdlError):
                raise batch
            yield batch


def _mark_flags_as_parsed() -> None:
    """Grain reads command line flags of absl, which a program without absl never parses."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()


def _on_the_host(*_: int) -> None:
    """Keeps a worker away from the accelerators, and from signals of the terminal, which the main process answers."""
    jax.config.update("jax_platforms", "cpu")
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
