"""A trained run in a script: its model, parameters, preprocessing and classes, without its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fjdl.batch import alone
from fjdl.data.blank import blank_data
from fjdl.data.faults import leaves_out
from fjdl.data.image_folder import SquareReader
from fjdl.data.own import Further, read_npz, read_rows
from fjdl.data.own.arrays import inputs_of
from fjdl.data.own.parquet_images import further_images
from fjdl.data.own.table_files import PARQUET
from fjdl.data.source import Picture, Source, from_arrays, subset
from fjdl.data.splits import readable
from fjdl.errors import UsageError
from fjdl.model import Model
from fjdl.train.answers import Answer
from fjdl.train.config_files import built, load_config, load_kept_config
from fjdl.train.description import DataDescription, described, read_description
from fjdl.train.documents import CONFIG, read_sealed
from fjdl.train.prediction import batch_predictor
from fjdl.train.recipe import Recipe
from fjdl.train.resume import read_best
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import TrainState, evaluated_params, init_state
from fjdl.train.usable import SKIP_BAD, without_bad_examples
from fjdl.typing import PyTree

AT_ONCE = 256  # examples that are answered together


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """The best epoch of a run, ready to be asked."""

    path: Path
    recipe: Recipe
    data: DataDescription
    state: TrainState

    @property
    def model(self) -> Model:
        """The network as pure functions; its `apply(params, stats, inputs)` takes what the recipe makes of a batch."""
        return self.recipe.model

    @property
    def params(self) -> PyTree:
        """The parameters that are evaluated: their average where the recipe has one."""
        return evaluated_params(self.state)

    @property
    def stats(self) -> PyTree:
        """What only a forward pass changes, such as running means."""
        return self.state.stats

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; label `k` means `classes[k]`."""
        return self.data.classes

    def picture(self, path: Path | str) -> Picture:
        """An image file as the data set reads its own; raises `DataError` for one that cannot be read.

        Raises `UsageError` where the data set does not read images.
        """
        if self.data.reader is None:
            raise UsageError(f"{self.path} reads no images: its data, {self.data.name}, do not say how")
        return self.data.reader(Path(path))

    def rows(self, path: Path | str) -> Further:
        """The rows of a file as examples, without what is to be predicted.

        They are those of a table, read as the training read its own, of the arrays of an `.npz` file, or of the images
        in a file of Parquet. Inside of `faults.bad_left_out` those that cannot be read are left out. Raises `DataError`
        naming the place of what cannot be read, and `UsageError` for a table where the run has learned from
        none.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".npz":
            source = from_arrays(inputs_of(str(path), read_npz(path), self.data.arrays))
            return Further(source, np.arange(source.length), ())
        if self.data.coder is None and isinstance(self.data.reader, SquareReader) and suffix in PARQUET:
            images = further_images(path, self.data.reader)
            good, faults = readable(images) if leaves_out() else (np.arange(images.length), ())
            return Further(subset(images, good), good, faults)
        if self.data.coder is None:
            raise UsageError(f"{self.path} reads no tables: its data, {self.data.name}, are none")
        return read_rows(path, self.data.coder)

    def answer(self, example: Mapping[str, Any]) -> Answer:
        """What the model says of one example, such as that of a picture, as `answers` does."""
        return self.answers({name: np.asarray(array)[None] for name, array in example.items()})

    def answers(self, examples: Mapping[str, Any] | Source) -> Answer:
        """What the model says of examples: arrays whose rows are examples, as the data set has them, or a source.

        A classifier gives the probabilities `[n, classes]`, a regression `values` in the target's units, a detector
        boxes and so on, see `fjdl.train.answers`; on the host. Raises `UsageError` for a task without answers.
        """
        source = examples if isinstance(examples, Source) else from_arrays(examples)
        starts = range(0, max(source.length, 1), AT_ONCE)
        found = [self._some(source, np.arange(start, min(start + AT_ONCE, source.length))) for start in starts]
        return jax.tree.map(lambda *parts: np.concatenate(parts), *found)

    def _some(self, source: Source, numbers: np.ndarray) -> Answer:
        """Some answers, computed in a batch whose size is a power of two, so that few programs are compiled."""
        size = 1 << max(len(numbers) - 1, 0).bit_length()
        none = {name: array[None] for name, array in self.data.blank().items()}
        examples = source.element(np.resize(numbers, size)) if len(numbers) else none
        answer = self._ask(self.params, self.stats, examples)
        return jax.tree.map(lambda x: np.asarray(x)[: len(numbers)], answer)

    @cached_property
    def _ask(self) -> Any:
        return batch_predictor(self.recipe)


def load_run(path: Path | str, *, recipe: Recipe | None = None) -> TrainedRun:
    """The best epoch of a run directory, wherever it lies now, without its data; nothing in it changes.

    A run keeps its config, so a later change of the file does not count; of a run of an older version the file is read
    that the run names, and of data that it does not describe the splits are made. `recipe` is needed for a run of `fit`
    without a config. Raises `UsageError` for a folder that is no run, `CheckpointError` for one without a checkpoint
    that verifies, and `StorageError` for files that are damaged.

    >>> import tempfile
    >>> from fjdl import models, nn, optim
    >>> from fjdl.data import own
    >>> from fjdl.train import Recipe, fit, tasks
    >>> x = np.linspace(-1, 1, 40, dtype=np.float32)
    >>> task = tasks.classification(2)
    >>> recipe = Recipe(
    ...     splits=lambda: own.arrays({"x": x, "y": np.where(x > 0, "plus", "minus")}),
    ...     model=nn.pure(models.MLP(hidden=(), classes=2)), inputs=lambda batch: batch["features"],
    ...     loss=task.loss, metrics=task.metrics, optimizer=lambda steps: optim.sgd(1.0), epochs=5, batch_size=8,
    ... )
    >>> folder = tempfile.mkdtemp()
    >>> state = fit(recipe, folder)
    >>> run = load_run(folder, recipe=recipe)
    >>> answer = run.answers({"features": np.array([[-0.9], [0.8]], np.float32)})
    >>> [run.classes[number] for number in answer.probabilities.argmax(axis=1)]
    ['minus', 'plus']
    """
    run = RunDirectory(path=Path(path))
    recipe = recorded_recipe(run) if recipe is None else recipe
    data = read_description(run)
    if data is None:
        splits = recipe.splits()
        data = described(splits, steps_per_epoch=recipe.order.steps(splits.train.length, recipe.batch_size))
    return TrainedRun(path=run.path, recipe=recipe, data=data, state=read_state(run, recipe, data))


def read_state(run: RunDirectory, recipe: Recipe, data: DataDescription) -> TrainState:
    """The state of a run's best epoch on the default device; the data are not read, even by a model that is fitted."""
    with blank_data(always=True):
        seen = recipe.network.seen(alone(data.blank()))
        begin = partial(init_state, recipe, seen, steps=data.steps_per_epoch * recipe.epochs)
        abstract = jax.eval_shape(begin)
    return read_best(run, abstract, data.steps_per_epoch)


def recorded_recipe(run: RunDirectory) -> Recipe:
    """The recipe that a run directory records, by the config that it keeps or by the file that it names."""
    path = run.path / "config.json"
    if not path.is_file():
        raise UsageError(f"{run.path} is not a run directory: it has no config.json")
    recorded = read_sealed(path, CONFIG)
    kept = run.config_text.exists()
    build = load_kept_config(run.config_text) if kept else load_config(Path(recorded["config"]))
    recipe = built(build, recorded["arguments"])
    return without_bad_examples(recipe) if recorded.get(SKIP_BAD) else recipe
