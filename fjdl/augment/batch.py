"""From one image, or one example, to those of a batch."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from fjdl.augment.combine import Random, sequence
from fjdl.augment.geometry import alternating_flip
from fjdl.explicit import with_batch_axis
from fjdl.typing import Array, Integer, PRNGKey

Augment = Callable[[PRNGKey, Mapping[str, Array]], dict[str, Array]]


def each_image(*functions: Callable[[PRNGKey, Array], Array], in_turn: bool = False) -> Augment:
    """`(key, batch) -> batch` that applies the functions in turn to `batch["image"]`, each image with its own key.

    The images are computed together, where a choice computes all that it chooses from and selects. `in_turn` computes
    one image after the other instead, and of a choice only what it drew: on CPU `rand_augment` gets many times faster,
    on accelerators everything slow.
    """
    every = _every(sequence(*functions), in_turn=in_turn)

    def augment(key: PRNGKey, batch: Mapping[str, Array]) -> dict[str, Array]:
        images = batch["image"]
        return {**batch, "image": every(jax.random.split(key, images.shape[0]), images)}

    return augment


def each_example(*functions: Random, in_turn: bool = False) -> Augment:
    """`(key, batch) -> batch` that applies the functions in turn to each example, a dict of arrays, with its own key.

    The functions are those of `fjdl.augment.sample`, which move boxes and masks along, or `on_image` of any other. An
    image gets the same random numbers as from `each_image`, where `in_turn` is explained.
    """
    every = _every(sequence(*functions), in_turn=in_turn)

    def augment(key: PRNGKey, batch: Mapping[str, Array]) -> dict[str, Array]:
        return every(jax.random.split(key, batch["image"].shape[0]), dict(batch))

    return augment


def alternating_flips(seed: int) -> Augment:
    """`(key, batch) -> batch` that applies `alternating_flip` to each image, whatever the step's key.

    Which epochs show an image mirrored is drawn from `seed` and `batch["index"]`, its number in the data set;
    `batch["epoch"]` counts from 0. The training loop provides both.
    """

    def augment(key: PRNGKey, batch: Mapping[str, Array]) -> dict[str, Array]:
        del key
        flip = jax.vmap(alternating_flip, in_axes=(None, 0, 0, 0))
        return {**batch, "image": flip(jax.random.key(seed), batch["image"], batch["epoch"], batch["index"])}

    return augment


def in_sequence(*augments: Augment) -> Augment:
    """`(key, batch) -> batch` that applies them in turn, each with its own key."""

    def augment(key: PRNGKey, batch: Mapping[str, Array]) -> dict[str, Array]:
        changed = dict(batch)
        for number, one in enumerate(augments):
            changed = one(jax.random.fold_in(key, number), changed)
        return changed

    return augment


def example_key(key: PRNGKey, epoch: Integer[Array, ""] | int, index: Integer[Array, ""] | int) -> PRNGKey:
    """The key of the example `index` of the data set in `epoch`, whatever batch, device or step it comes in."""
    return jax.random.fold_in(jax.random.fold_in(key, epoch), index)


def _every(one: Random, *, in_turn: bool) -> Callable[[Array, Any], Any]:
    every = jax.vmap(one)
    if in_turn:
        every = lambda keys, examples: jax.lax.map(lambda pair: one(*pair), (keys, examples))  # noqa: E731
    return lambda keys, examples: with_batch_axis(every, keys, examples)
