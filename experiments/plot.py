"""Draw a run: `python -m experiments.plot runs/digits` makes learning curves, confusion matrix, filters, mistakes."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.evaluate import LoadedRun, load_run


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw the figures of a run into its folder plots/."""

    run: tyro.conf.Positional[Path]
    """The run directory."""
    montage: Path | None = None
    """A PNG file that shows all figures side by side."""


def main() -> None:
    """Draws and says where."""
    options = tyro.cli(Options, args=sys.argv[1:])
    paths = draw(options.run, load_run(options.run))
    if options.montage is not None:
        from fjdl.plots import montage

        montage(paths, options.montage)
        paths.append(options.montage)
    for path in paths:
        print(path)


def draw(path: Path, run: LoadedRun) -> list[Path]:
    """The figures that this run's data allow."""
    from fjdl.plots import confusion_matrix_figure, filter_grid, learning_curves, save
    from fjdl.train.feed import evaluation
    from fjdl.train.log import read_jsonl
    from fjdl.train.mesh import make_mesh

    title = run.splits.name
    figures = {
        "learning_curves": learning_curves(
            read_jsonl(path / "metrics.jsonl"), title=title, best_step=int(run.state.step)
        )
    }
    results = evaluation(run.recipe, run.program, run.splits.test, make_mesh())(run.state)
    if "confusion" in results:
        figures["confusion"] = confusion_matrix_figure(
            results["confusion"], classes=run.splits.classes, title=f"{title}, test part"
        )
    kernel = first_filters(run.state)
    if kernel is not None:
        figures["filters"] = filter_grid(kernel, title="First-layer filters")
    if "image" in run.splits.test.element(0) and not run.splits.test.streamed:
        figures["mistakes"] = mistakes_figure(run, title=f"{title}, test part")
    for name, figure in figures.items():
        save(figure, path / "plots" / f"{name}.png")
    return [path / "plots" / f"{name}.png" for name in figures]


def first_filters(state: Any) -> Any:
    """The first convolution's kernel, or None in a network without one."""
    import jax

    from fjdl.train.state import evaluated_params

    return next((leaf for leaf in jax.tree.leaves(evaluated_params(state)) if leaf.ndim == 4), None)


def mistakes_figure(run: LoadedRun, *, title: str) -> Any:
    """Misclassified test images, the most confident first."""
    import jax.numpy as jnp

    from fjdl.data.source import to_arrays
    from fjdl.functional.activations import softmax
    from fjdl.plots import mistakes
    from fjdl.train.state import evaluated_params

    arrays = {name: jnp.asarray(array) for name, array in to_arrays(run.splits.test).items()}
    outputs, _ = run.recipe.model.apply(evaluated_params(run.state), run.state.stats, run.recipe.inputs(arrays))
    probabilities = softmax(outputs)
    predicted = jnp.argmax(probabilities, axis=-1)
    return mistakes(
        arrays["image"], arrays["label"], predicted, probabilities.max(axis=-1), classes=run.splits.classes, title=title
    )


if __name__ == "__main__":
    run_guarded(main)
