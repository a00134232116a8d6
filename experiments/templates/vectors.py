"""Configs for rows of numbers: of tables, and of arrays without images."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.templates.base import Written, filled, path_literal, sizes_for, string, strings
from fjdl.data.source import Splits, to_arrays

TEMPLATE = '''"""A multilayer perceptron on <folder>.

Source: your own data; textbook network.
Command: python -m experiments.train <name>.py --seed N
Reached: not run yet.
"""

from pathlib import Path
from typing import Literal

from fjdl.data.own import <reader>
<rescaled_import>from fjdl.models import MLP
from fjdl.nn import pure
from fjdl.optim import adamw
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import <task>

<constants>


def recipe(
    *,
    seed: int = 0,
    data: Path = <path>,
    epochs: int = <epochs>,
    batch_size: int = <batch_size>,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-2,
    hidden: tuple[int, ...] = (64, 64),
    dropout: float = 0.1,
    precision: <precisions> = "float32",
    patience: int = <patience>,
) -> Recipe:
    """Two hidden layers on <inputs>."""
    task = <task>(<task_argument>)
    network = pure(MLP(hidden=tuple(hidden), classes=<outputs>, dropout=dropout))
    return Recipe(
        splits=<splits>,
        model=<model>,
        inputs=lambda batch: batch["features"],
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: adamw(
            warmup_cosine(peak=learning_rate, warmup_steps=steps // 10, steps=steps), weight_decay=weight_decay
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        monitor="loss",
        mode="min",
        patience=patience,
    )
'''


class Call(NamedTuple):
    """How a config reads its data."""

    reader: str  # of `fjdl.data.own`
    text: str  # its call
    inputs: str  # what a row is, in words


def of_vectors(name: str, path: Path, splits: Splits, call: Call, *, notes: Sequence[str] = ()) -> Written:
    """A config for splits of "features" with a "label" or a "target"."""
    sizes = sizes_for(splits.train.length)
    classified = bool(splits.classes)
    if classified:
        values = {"task": "classification", "task_argument": "len(CLASSES)", "outputs": "len(CLASSES)"}
        values |= {"model": "network", "rescaled_import": "", "constants": f"CLASSES = {strings(splits.classes)}"}
    else:
        targets = to_arrays(splits.train)["target"].astype(np.float64)
        outputs = 1 if targets.ndim == 1 else targets.shape[1]
        mean, spread = targets.mean(), targets.std() or 1.0
        values = {"task": "regression", "task_argument": "", "outputs": str(outputs)}
        values |= {"model": "rescaled(network, shift=MEAN, scale=SPREAD)"}
        values |= {"rescaled_import": "from fjdl.model import rescaled\n"}
        values |= {"constants": f"MEAN, SPREAD = {mean:.6g}, {spread:.6g}  # of the training part's targets"}
    text = filled(
        TEMPLATE,
        name=name,
        folder=path.name,
        path=path_literal(path),
        reader=call.reader,
        inputs=call.inputs,
        splits=call.text,
        **values,
        **sizes._asdict(),
    )
    return Written(text, list(notes))


def of_arrays(name: str, path: Path, splits: Splits) -> Written:
    """A config for `data.own.arrays` of vectors."""
    return of_vectors(name, path, splits, Call("arrays", "lambda: arrays(Path(data))", "the rows of the arrays"))


def table_call(options: dict[str, object]) -> Call:
    """How a config calls `data.own.table` with these options."""
    shown = ", ".join(f"{key}={_literal(value)}" for key, value in options.items())
    line = f"lambda: table(Path(data), {shown})"
    if len(line) > 100:
        rows = "".join(f"            {key}={_literal(value)},\n" for key, value in options.items())
        line = f"lambda: table(\n            Path(data),\n{rows}        )"
    return Call("table", line, "the columns of the table")


def _literal(value: object) -> str:
    if isinstance(value, str):
        return string(value)
    if isinstance(value, list):
        return f"[{', '.join(map(string, value))}]"
    return repr(value)
