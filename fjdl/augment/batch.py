"""From one image to the images of a batch."""

from collections.abc import Callable, Mapping

import jax

from fjdl.typing import Array, PRNGKey

Augment = Callable[[PRNGKey, Mapping[str, Array]], dict[str, Array]]


def each_image(*functions: Callable[[PRNGKey, Array], Array]) -> Augment:
    """`(key, batch) -> batch` that applies the functions in turn to `batch["image"]`, each image with its own key."""

    def one(key: PRNGKey, image: Array) -> Array:
        for number, function in enumerate(functions):
            image = function(jax.random.fold_in(key, number), image)
        return image

    def augment(key: PRNGKey, batch: Mapping[str, Array]) -> dict[str, Array]:
        images = batch["image"]
        return {**batch, "image": jax.vmap(one)(jax.random.split(key, images.shape[0]), images)}

    return augment
