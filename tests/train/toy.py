"""Small data, networks and recipes that the tests of training share."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen
from jax.sharding import Mesh

from fjdl.data.embedded import digits
from fjdl.data.source import Source, Splits, from_arrays, to_arrays
from fjdl.models import MLP
from fjdl.nn import Dense, Model, pure
from fjdl.optim import momentum
from fjdl.train.mesh import make_mesh, replicated
from fjdl.train.program import Program, compile_program
from fjdl.train.recipe import Recipe
from fjdl.train.state import TrainState, init_state
from fjdl.train.tasks import classification
from fjdl.typing import Array


class Centred(linen.Module):
    """Logits of the inputs less their running mean, which only training moves: 0.9 mean + 0.1 mean of the batch."""

    classes: int = 10

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        x = x.reshape(x.shape[0], -1)
        mean = self.variable("batch_stats", "mean", lambda: jnp.zeros(x.shape[-1]))
        if train:
            mean.value = 0.9 * mean.value + 0.1 * jnp.mean(x, axis=0)
        return Dense(self.classes, name="logits")(x - mean.value[None])


@cache
def digit_arrays() -> dict[str, np.ndarray]:
    """The training digits: image uint8 [n, 8, 8, 1] and label int32 [n]."""
    return to_arrays(digits().train)


def source(start: int, length: int) -> Source:
    """Some digits as float32 from 0 to 1, so that a test can put a NaN into a copy of their arrays."""
    rows = {name: array[start : start + length] for name, array in digit_arrays().items()}
    return from_arrays({"image": (rows["image"] / 16).astype(np.float32), "label": rows["label"]})


def splits(train: Source | None = None) -> Splits:
    """100 digits to learn from, which is not a multiple of the batch, 60 and 50 to measure."""
    return Splits(
        name="some digits",
        train=train or source(0, 100),
        validation=source(200, 60),
        test=source(300, 50),
        classes=tuple("0123456789"),
    )


def spoilt(example: int) -> Splits:
    """The digits with a NaN in one pixel of one training example."""
    arrays = {name: np.array(array) for name, array in to_arrays(source(0, 100)).items()}
    arrays["image"][example, 3, 4] = np.nan
    return splits(from_arrays(arrays))


def recipe(**changes: Any) -> Recipe:
    """A small network on those digits: four steps an epoch, the last of four examples."""
    task = classification(10)
    settings: dict[str, Any] = {
        "splits": splits,
        "model": quick(MLP(hidden=(16,), classes=10)),
        "inputs": lambda batch: batch["image"],
        "loss": task.loss,
        "metrics": task.metrics,
        "optimizer": lambda steps: momentum(0.1),
        "epochs": 3,
        "batch_size": 32,
    }
    return Recipe(**{**settings, **changes})


def batch(size: int = 64, *, seed: int = 0, shape: tuple[int, ...] = (8, 8, 1), mask: Any = None) -> dict[str, Array]:
    """Dense random images, so that no pixel has the gradient 0, with random labels."""
    rng = np.random.default_rng(seed)
    return {
        "image": jnp.asarray(rng.standard_normal((size, *shape)), jnp.float32),
        "label": jnp.asarray(rng.integers(0, 10, size), jnp.int32),
        "example_mask": jnp.ones(size) if mask is None else jnp.asarray(mask, jnp.float32),
    }


def noise(key: Any, batch: Any) -> dict[str, Array]:
    """An augmentation: grey noise."""
    return {**batch, "image": batch["image"] + 0.1 * jax.random.uniform(key, batch["image"].shape)}


def random_params(model: Model, inputs: Any, *, seed: int = 0) -> Any:
    """Parameters of the model, biases too, drawn without compiling an initializer."""
    rng = np.random.default_rng(seed)
    shapes, _ = jax.eval_shape(model.init, jax.random.key(0), inputs)
    return jax.tree.map(lambda p: (0.1 * rng.standard_normal(p.shape)).astype(np.float32), shapes)


def quick(module: linen.Module) -> Model:
    """The module with `random_params` whatever the key, and statistics of zeros."""
    model = pure(module)

    def init(key: Any, inputs: Any) -> tuple[Any, Any]:
        _, stats = jax.eval_shape(model.init, key, inputs)
        return jax.tree.map(
            jnp.asarray, (random_params(model, inputs), jax.tree.map(lambda s: np.zeros(s.shape), stats))
        )

    return Model(init, model.apply)


def devices(count: int = 1) -> list[Any]:
    """The first devices."""
    return jax.devices()[:count]


def mesh(count: int = 1) -> Mesh:
    """A mesh of the first devices."""
    return make_mesh(devices(count))


def first_state(recipe: Recipe, batch: dict[str, Array]) -> TrainState:
    """The state before training on such batches, on the first device."""
    return jax.device_put(init_state(recipe, recipe.inputs(batch), steps=10), replicated(mesh()))


def program(recipe: Recipe, *, count: int = 1, data: Splits | None = None) -> Program:
    """The compiled program on the first devices."""
    train = (data or recipe.splits()).train
    return compile_program(recipe, mesh(count), examples=train.length, example=train.element(0))


def counting(model: Model) -> Model:
    """The model with the number of its training passes among its statistics."""

    def init(key: Any, inputs: Any) -> tuple[Any, Any]:
        params, stats = model.init(key, inputs)
        return params, {"inner": stats, "passes": jnp.zeros(())}

    def apply(params: Any, stats: Any, inputs: Any, *, train: bool = False, key: Any = None) -> tuple[Any, Any]:
        outputs, inner = model.apply(params, stats["inner"], inputs, train=train, key=key)
        return outputs, {"inner": inner, "passes": stats["passes"] + train}

    return Model(init, apply)
