"""One of the processes that train small networks together: `python -m tests.train.together FOLDER STEPS CASE…`.

Its place is that of the environment, alone where none is named. Process 0 writes into the folder what each case gives:
the loss of each step, the examples of each batch in their order, and the mean loss of epochs of data on the devices.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from fjdl import peers
from fjdl.data.loading import load_batches, to_device
from fjdl.data.source import Splits, from_arrays
from fjdl.models import LeNet5, ResNet
from fjdl.models.residual import BasicBlock
from fjdl.models.resnet import SmallStem
from fjdl.nn import pure
from fjdl.optim import momentum
from fjdl.peers import seat_of
from fjdl.train.layout import DATA_PARALLEL, fully_sharded
from fjdl.train.mesh import along
from fjdl.train.prepare import Prepared, prepare
from fjdl.train.processes import all_there, is_first, join, local_rows, on_host
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.train.state import Stream, stream_key
from fjdl.train.tasks import classification

BATCH, LENGTH = 16, 72
LAYOUTS = {"copies": DATA_PARALLEL, "parts": fully_sharded(smallest=1)}
NETWORKS = {
    "lenet": (LeNet5(padding=(2, 2)), (8, 8, 1)),
    "resnet": (ResNet(stages=(1,), block=BasicBlock, width=8, stem=SmallStem, classes=10), (8, 8, 3)),
}


def made(network: str, layout: str, *, resident: Any = "auto") -> Prepared:
    """Noise to learn by heart, of which the last batch of an epoch is not full."""
    module, shape = NETWORKS[network]
    rng = np.random.default_rng(0)
    arrays = {"image": rng.normal(size=(LENGTH, *shape)).astype(np.float32), "label": np.arange(LENGTH) % 10}
    data = from_arrays({**arrays, "label": arrays["label"].astype(np.int32)})
    task = classification(10)
    recipe = Recipe(
        splits=lambda: Splits(name="noise", train=data, validation=data, test=data, classes=tuple("0123456789")),
        model=pure(module),
        inputs=lambda batch: batch["image"],
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: momentum(0.01),
        epochs=10,
        batch_size=BATCH,
        layout=LAYOUTS[layout],
        resident=resident,
    )
    return prepare(recipe)


def stepwise(there: Prepared, steps: int) -> dict[str, Any]:
    """Batches that come one by one."""
    recipe, splits, mesh, program = there
    key = stream_key(recipe.seed, Stream.ORDER)
    rows = load_batches(key, splits.train, batch_size=BATCH, stop=steps, rows=local_rows(BATCH, mesh))
    state, losses, seen = program.init(), [], []
    for batch in to_device(rows, sharding=along(mesh)):
        state, tally = program.single.step(state, program.single.start(), batch)
        losses.append(float(program.single.finish(tally).loss))
        seen.append(on_host(batch["index"]).tolist())
    return {"losses": losses, "seen": seen, "norm": float(np.sqrt(sum((x**2).sum() for x in _leaves(state))))}


def at_once(there: Prepared, steps: int) -> dict[str, Any]:
    """Two epochs of data in parts on the devices, and what their evaluation gives."""
    _, splits, mesh, program = there
    arrays, state, losses = place(splits.train, mesh, resident="sharded"), program.init(), []
    for _ in range(min(2, steps)):
        state, report = program.epoch(state, arrays)
        losses.append(float(report.loss))
    results = program.evaluate(state, arrays)
    return {"losses": [*losses, float(results["loss"])], "count": float(results["accuracy"])}


def _leaves(state: Any) -> list[np.ndarray]:
    return jax.tree.leaves(on_host(state.params))


def main(folder: Path, steps: int, chosen: list[str]) -> None:
    seat = seat_of(os.environ)
    if seat is not None:
        join(seat, within=120.0)
    cases = {f"{network} {layout}": (stepwise, network, layout) for network in NETWORKS for layout in LAYOUTS}
    cases["lenet at once"] = (at_once, "lenet", "parts")
    found, start = {}, time.monotonic()
    for name in chosen or cases:
        run, network, layout = cases[name]
        found[name] = run(made(network, layout), steps)
        print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)
    if is_first():
        (folder / "found.json").write_text(json.dumps(found))
    if seat is not None:
        all_there()
        multihost_utils.sync_global_devices("end")
        peers.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
