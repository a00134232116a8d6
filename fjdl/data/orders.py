"""Which examples make the batches of an epoch, in which order: an `Order` is a tuple of pure functions.

`shuffled` draws every epoch anew, `in_order` keeps the order of the data, `lanes` keeps sequences that go on from one
batch to the next, `buckets` puts examples of about the same length together, `groups` examples of the same class. Each
gives every example once; `repeated` gives several times what another one does, `balanced` all classes equally often.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.checks import at_least
from fjdl.data.batches import epoch_indices, sequential_indices, steps_per_epoch
from fjdl.errors import UsageError
from fjdl.typing import Array, PRNGKey

Rows = tuple[Array, Array]  # int32 indices and a float32 mask [steps, batch]
Cut = Callable[[Mapping[str, Any]], dict[str, Any]]


def _all(length: int) -> int:
    return length


def _each_begins(indices: Array, *, length: int) -> Array:
    del length
    return jnp.ones(indices.shape, bool)


class Order(NamedTuple):
    """The batches of an epoch as functions of the number of examples `length` and the `batch_size`, both static.

    `rows(key, epoch, length=..., batch_size=...)` gives one row of indices for each of `steps(length, batch_size)`
    steps, and a mask that is 0 for those that only fill up a batch. `at_once(length)` is the most examples that a
    batch has a place for. `begins(indices, length=...)` says which examples begin a sequence; any other goes on where
    the example in its place of the batch before ended.

    Where batches have several widths, `kind(indices)` gives the number of a row's, and `cuts` the function of each that
    leaves of a batch what is that wide.
    """

    rows: Callable[..., Rows]
    steps: Callable[[int, int], int] = steps_per_epoch
    at_once: Callable[[int], int] = _all
    begins: Callable[..., Array] = _each_begins
    kind: Callable[[Any], Any] | None = None
    cuts: tuple[Cut, ...] = ()

    @property
    def carries(self) -> bool:
        """Whether sequences go on from one batch to the next."""
        return self.begins is not _each_begins


def _in_order(key: Any, epoch: Any, *, length: int, batch_size: int) -> Rows:
    del key, epoch
    return sequential_indices(length=length, batch_size=batch_size)


shuffled = Order(epoch_indices)
in_order = Order(_in_order)


def lanes(count: int) -> Order:
    """Examples in `count` lanes of equally many, one batch having the next example of each of its lanes.

    Example `i` goes on where example `i - 1` ended, unless it is the first of its lane, that is unless `i` is a
    multiple of `length / count`. With a `batch_size` of `count` the lanes are read side by side; a smaller one reads
    some of them to their ends and then the next ones. So the state that a model carries, and what it costs, do not
    depend on the batch size. The order is the same in every epoch. Truncated backpropagation through time (Werbos 1990;
    Williams & Peng 1990) trains on it. Raises `ValueError` for a count below 1, and `UsageError` for a number of
    examples that is no multiple of the count.

    >>> indices, mask = lanes(2).rows(None, 0, length=6, batch_size=2)
    >>> indices
    Array([[0, 3],
           [1, 4],
           [2, 5]], dtype=int32)
    """
    at_least(1, count=count)

    def windows(length: int) -> int:
        if length % count:
            raise UsageError(f"the number of examples must be a multiple of the {count} lanes, got {length}")
        return length // count

    def steps(length: int, batch_size: int) -> int:
        return steps_per_epoch(count, batch_size) * windows(length)

    def rows(key: Any, epoch: Any, *, length: int, batch_size: int) -> Rows:
        del key, epoch
        first, mask = sequential_indices(length=count, batch_size=batch_size)
        along = jnp.arange(windows(length), dtype=jnp.int32)
        indices = first[:, None] * windows(length) + along[None, :, None]
        masks = jnp.broadcast_to(mask[:, None], indices.shape)
        return indices.reshape(-1, batch_size), masks.reshape(-1, batch_size)

    def begins(indices: Array, *, length: int) -> Array:
        return indices % windows(length) == 0

    return Order(rows, steps, at_once=lambda length: min(count, length), begins=begins)


def buckets(
    lengths: Sequence[int] | np.ndarray | Callable[[], Sequence[int] | np.ndarray],
    *,
    widths: Sequence[int],
    arrays: Sequence[str],
) -> Order:
    """Shuffled batches of examples of about the same length, each cut to the least of `widths` that holds them.

    `lengths` has the length of each example of the training part, along the second axis of the `arrays` of a batch,
    which are cut; or it is a function that gives them, which is called once, when the first batches are made. Each
    epoch draws the examples of each width in a new order, and the order of all batches; a width whose examples do not
    fill its last batch fills it up with its own, at mask 0. Each width compiles a program of its own. Raises
    `ValueError` unless widths are positive and increase, and `UsageError` for a length beyond the last width or another
    number of examples than of lengths.

    >>> order = buckets([1, 9, 2, 8], widths=(3, 9), arrays=("tokens",))
    >>> indices, _ = order.rows(jax.random.key(0), 0, length=4, batch_size=2)
    >>> sorted(sorted(row) for row in indices.tolist())
    [[0, 2], [1, 3]]
    >>> sorted(order.cuts[int(order.kind(row))]({"tokens": jnp.zeros((2, 9))})["tokens"].shape for row in indices)
    [(2, 3), (2, 9)]
    """
    if not widths or min(widths) < 1 or any(a >= b for a, b in itertools.pairwise(widths)):
        raise ValueError(f"widths must be positive and increase, got {list(widths)}")

    @cache
    def kinds() -> np.ndarray:
        known = np.asarray(lengths() if callable(lengths) else lengths)
        if known.size and known.max() > widths[-1]:
            raise UsageError(f"lengths must not exceed the last width, {widths[-1]}, got {known.max()}")
        return np.searchsorted(np.asarray(widths), known).astype(np.int32)

    @cache
    def members() -> dict[int, np.ndarray]:
        return {kind: np.flatnonzero(kinds() == kind).astype(np.int32) for kind in np.unique(kinds()).tolist()}

    if not callable(lengths):
        kinds()

    def steps(length: int, batch_size: int) -> int:
        if length != len(kinds()):
            raise UsageError(f"lengths must hold that of each of the {length} examples, got {len(kinds())}")
        return sum(steps_per_epoch(len(each), batch_size) for each in members().values())

    def rows(key: PRNGKey, epoch: Any, *, length: int, batch_size: int) -> Rows:
        total, key = steps(length, batch_size), jax.random.fold_in(key, epoch)
        found = []
        for kind, each in members().items():
            places, mask = epoch_indices(key, kind, length=len(each), batch_size=batch_size)
            found.append((jnp.asarray(each)[places], mask))
        mixed = jax.random.permutation(jax.random.fold_in(key, len(widths)), total)
        indices, masks = (jnp.concatenate(parts)[mixed] for parts in zip(*found, strict=True))
        return indices, masks

    def kind(indices: Any) -> Any:
        table = kinds() if isinstance(indices, np.ndarray) else jnp.asarray(kinds())
        return table[indices[0]]

    return Order(rows, steps, kind=kind, cuts=tuple(partial(_cut, width=w, arrays=tuple(arrays)) for w in widths))


def repeated(order: Order, times: int) -> Order:
    """An epoch of as many epochs of another order, for few examples from each of which many are drawn.

    The state is measured and saved once in that time. Raises `ValueError` for `times` below 1, and for an order whose
    sequences span batches.

    >>> indices, _ = repeated(shuffled, 3).rows(jax.random.key(0), 0, length=2, batch_size=2)
    >>> sorted(indices.ravel().tolist())
    [0, 0, 0, 1, 1, 1]
    """
    at_least(1, times=times)
    if order.carries:
        raise ValueError("order must give examples that do not go on in the next batch, got one of lanes")

    def rows(key: Any, epoch: Any, *, length: int, batch_size: int) -> Rows:
        epochs = epoch * times + jnp.arange(times)
        found = jax.vmap(lambda epoch: order.rows(key, epoch, length=length, batch_size=batch_size))(epochs)
        return found[0].reshape(-1, batch_size), found[1].reshape(-1, batch_size)

    return order._replace(rows=rows, steps=lambda length, batch_size: times * order.steps(length, batch_size))


class _Layout(NamedTuple):
    """Groups of examples of a class, where all examples stand in the order of their classes."""

    label: np.ndarray  # of each example, from 0 [length]
    places: np.ndarray  # of the examples of each group [groups, each]
    mask: np.ndarray  # 0 for those that only fill up a group [groups, each]
    rounds: np.ndarray  # how many groups of its class are before each [groups]


def _layout(known: np.ndarray, each: int) -> _Layout:
    _, label, sizes = np.unique(known, return_inverse=True, return_counts=True)
    slots = -(-sizes // each) * each
    owner = np.repeat(np.arange(len(sizes)), slots)
    slot = np.arange(len(owner)) - (np.cumsum(slots) - slots)[owner]
    places = (np.cumsum(sizes) - sizes)[owner] + slot % sizes[owner]
    mask = (slot < sizes[owner]).astype(np.float32)
    return _Layout(
        label=label.astype(np.int32),
        places=places.reshape(-1, each),
        mask=mask.reshape(-1, each),
        rounds=slot[::each] // each,
    )


def groups(labels: Sequence[int] | np.ndarray | Callable[[], Sequence[int] | np.ndarray], *, each: int) -> Order:
    """Batches of `each` examples of every class in them, as losses need that compare the examples of a batch.

    `labels` has the class of each example of the training part, or it is a function that gives them, which is called
    once, when the first batches are made. An epoch takes a group of each class in a new order, then another one of
    each, until all examples had their turn; the examples of a group are drawn anew. So a batch of 64 with `each=4` has
    16 classes, none twice unless the classes are fewer or a round ends in it. A class that `each` does not divide
    fills its last group up with its own examples at mask 0. Hermans et al. 2017, arXiv:1703.07737 (P · K batches).
    Raises `ValueError` for `each` below 1, and `UsageError` for a `batch_size` that is no multiple of it and for
    another number of examples than of labels.

    >>> indices, _ = groups([0, 1, 0, 1, 2, 2], each=2).rows(jax.random.key(0), 0, length=6, batch_size=2)
    >>> sorted(sorted(row) for row in indices.tolist())
    [[0, 2], [1, 3], [4, 5]]
    """
    at_least(1, each=each)

    @cache
    def layout() -> _Layout:
        return _layout(np.asarray(labels() if callable(labels) else labels), each)

    def steps(length: int, batch_size: int) -> int:
        known = len(layout().label)
        if length != known:
            raise UsageError(f"labels must hold that of each of the {length} examples, got {known}")
        if batch_size % each:
            raise UsageError(f"the batch size must be a multiple of the {each} examples of a group, got {batch_size}")
        return steps_per_epoch(len(layout().rounds), batch_size // each)

    def rows(key: PRNGKey, epoch: Any, *, length: int, batch_size: int) -> Rows:
        total, here = steps(length, batch_size), layout()
        within, among = jax.random.split(jax.random.fold_in(key, epoch))
        mixed = jax.random.permutation(within, length)
        by_class = mixed[jnp.argsort(jnp.asarray(here.label)[mixed])]  # those of a class in a random order
        drawn = jax.random.permutation(among, len(here.rounds))
        order = drawn[jnp.argsort(jnp.asarray(here.rounds)[drawn])]
        order = jnp.resize(order, (total * (batch_size // each),))
        counts = jnp.arange(len(order)) < len(here.rounds)
        found, weights = by_class[here.places][order], jnp.where(counts[:, None], jnp.asarray(here.mask)[order], 0)
        return found.astype(jnp.int32).reshape(total, batch_size), weights.reshape(total, batch_size)

    return Order(rows, steps)


def balanced(labels: Sequence[int] | np.ndarray | Callable[[], Sequence[int] | np.ndarray]) -> Order:
    """Every class equally often, for data in which some are rare: an epoch has about as many examples as the data.

    `labels` is as in `groups`. An epoch has ⌈examples / classes⌉ rounds of one example of each class in a new order, so
    the counts of classes in a batch differ by at most two. Of a frequent class an epoch takes a part, drawn anew; a
    rare one's examples come again when all had their turn. PyTorch's `WeightedRandomSampler` with weights of 1 / (size
    of the class) has these counts in the mean. Raises `UsageError` for another number of examples than of labels.

    >>> indices, _ = balanced([0, 0, 0, 0, 0, 1]).rows(jax.random.key(0), 0, length=6, batch_size=2)
    >>> [max(row) for row in indices.tolist()]
    [5, 5, 5]
    """

    @cache
    def members() -> tuple[np.ndarray, np.ndarray]:
        _, label, sizes = np.unique(labels() if callable(labels) else labels, return_inverse=True, return_counts=True)
        return label.astype(np.int32), sizes

    def steps(length: int, batch_size: int) -> int:
        label, sizes = members()
        if length != len(label):
            raise UsageError(f"labels must hold that of each of the {length} examples, got {len(label)}")
        return steps_per_epoch(steps_per_epoch(length, len(sizes)) * len(sizes), batch_size)

    def rows(key: PRNGKey, epoch: Any, *, length: int, batch_size: int) -> Rows:
        padded, (label, sizes) = (steps(length, batch_size), batch_size), members()
        within, among = jax.random.split(jax.random.fold_in(key, epoch))
        mixed = jax.random.permutation(within, length)
        by_class = mixed[jnp.argsort(jnp.asarray(label)[mixed])]  # those of a class in a random order
        turns = np.arange(steps_per_epoch(length, len(sizes)))[:, None] % sizes + np.cumsum(sizes) - sizes
        drawn = jax.random.permutation(among, by_class[turns.astype(np.int32)], axis=1, independent=True).reshape(-1)
        mask = (jnp.arange(math.prod(padded)) < drawn.size).astype(jnp.float32).reshape(padded)
        return jnp.resize(drawn.astype(jnp.int32), padded), mask

    return Order(rows, steps)


def _cut(batch: Mapping[str, Any], *, width: int, arrays: tuple[str, ...]) -> dict[str, Any]:
    return {name: array[:, :width] if name in arrays else array for name, array in batch.items()}
