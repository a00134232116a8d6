"""Draw a run: `python -m experiments.plot runs/digits` makes learning curves, confusion matrix, filters, cases."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
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
    run = load_run(options.run)
    paths = draw(options.run, run)
    if options.montage is not None:
        from fjdl.plots import montage

        montage(paths, options.montage, about=about(options.run, run))
        paths.append(options.montage)
    for path in paths:
        print(path)


def draw(path: Path, run: LoadedRun) -> list[Path]:
    """The figures that this run's data allow."""
    from fjdl.plots import confusion_matrix_figure, filter_grid, learning_curves, save
    from fjdl.train.records import read_run
    from fjdl.train.result import measure
    from fjdl.train.rundir import RunDirectory

    title, told = run.splits.name, run.recipe.told
    records = read_run(RunDirectory(path=path), steps_per_epoch=run.program.steps_per_epoch)
    figures = {"learning_curves": learning_curves(records, title=title, best_step=int(run.state.step))}
    results = measure(run.program.evaluator, run.state, run.splits.test, part="test")
    if told.confusion in results:
        figures["confusion"] = confusion_matrix_figure(
            results[told.confusion], classes=run.splits.classes, title=f"{title}, test part"
        )
    kernel = first_filters(run)
    if kernel is not None:
        figures["filters"] = filter_grid(kernel, title="First-layer filters")
    if told.probabilities is not None and not run.splits.test.streamed:
        shown = mistakes_figure(run, title=f"{title}, test part")
        figures |= {} if shown is None else {"mistakes": shown}
        figures |= of_probabilities(run, title=f"{title}, test part")
    if run.recipe.generation is not None and run.recipe.generation.attention is not None:
        figures["attention"] = attention_map(run, title=f"{title}, first example of the test part")
    figures |= cases(run, title=f"{title}, test part")
    for name, figure in figures.items():
        save(figure, path / "plots" / f"{name}.png")
    return [path / "plots" / f"{name}.png" for name in figures]


def of_probabilities(run: LoadedRun, *, title: str) -> dict[str, Any]:
    """Reliability diagram, and curves over all thresholds, each class against all others; for one label an example."""
    import jax.numpy as jnp

    from experiments.diagnoses.measured import BINS, answers
    from fjdl import metrics
    from fjdl.plots import reliability_figure, thresholds_figure

    told = answers(run, "test")
    if told is None:
        return {}
    probabilities, labels = jnp.asarray(told.probabilities), jnp.asarray(told.labels)
    diagram = metrics.measure(metrics.calibration(BINS), *metrics.top_class(probabilities, labels))
    roc, precision_recall, areas = {}, {}, {}
    for number, name in enumerate(run.splits.classes):
        own, scores = labels == number, probabilities[:, number]
        if not 0 < int(own.sum()) < len(own):
            continue  # of which there is none, or nothing else
        roc[name], precision_recall[name] = metrics.roc_curve(own, scores), metrics.precision_recall_curve(own, scores)
        areas[name] = float(metrics.roc_auc_score(own, scores)), float(metrics.average_precision_score(own, scores))
    figures = {"reliability": reliability_figure(*(np.asarray(each).tolist() for each in diagram), title=title)}
    return figures | ({"thresholds": thresholds_figure(roc, precision_recall, areas, title=title)} if roc else {})


def cases(run: LoadedRun, *, title: str) -> dict[str, Any]:
    """Figures of the answers beside the truth, for a task whose answers are classes of pixels or boxes."""
    from experiments.predictions import boxes, segments
    from experiments.predictions.base import variables_of
    from fjdl.boxes import Detections
    from fjdl.train.answers import Segmented
    from fjdl.train.prediction import predictor

    if run.recipe.told.answer is None and run.recipe.told.detections is None:
        return {}
    answer = predictor(run.recipe)(*variables_of(run), run.splits.test.element(0))
    kinds = {Segmented: segments.figures, Detections: boxes.figures}
    return kinds[type(answer)](run, title=title) if type(answer) in kinds else {}


def about(path: Path, run: LoadedRun) -> str:
    """JSON of the numbers in the figures and where they come from; without those of a test in a run that goes on."""
    from fjdl.train.documents import ENVIRONMENT, read_sealed
    from fjdl.train.json_files import encode_json
    from fjdl.train.rundir import RunDirectory, finished
    from fjdl.tree import digest

    result, environment = finished(RunDirectory(path=path)) or {}, read_sealed(path / "env.json", ENVIRONMENT)
    names = ("command", "hardware", "best_epoch", "epochs", "test")
    shown = {name: result[name] for name in names if name in result}
    return encode_json({"state": digest(run.state), "jax": environment.get("jax"), **shown}).strip()


def first_filters(run: LoadedRun) -> Any:
    """The kernel of the convolution that is called first, or None in a network without one."""
    import jax

    from fjdl.train.state import evaluated_params
    from fjdl.tree import names

    params = evaluated_params(run.state)
    kernels = [(name, x) for name, x in zip(names(params), jax.tree.leaves(params), strict=True) if x.ndim == 4]
    one = run.recipe.seen(run.splits.test.element(0))
    called = [f"{layer.name}/".lstrip("/") for layer in run.recipe.model.layers(one)]
    return next((x for layer in called for name, x in kernels if name.startswith(layer)), None)


def attention_map(run: LoadedRun, *, title: str) -> Any:
    """Where the model looks while it answers to the first test example."""
    import jax.numpy as jnp

    from fjdl.batch import alone
    from fjdl.plots import attention_figure
    from fjdl.train.state import evaluated_params
    from fjdl.train.writing import attended

    generation = run.recipe.generation
    tokens, lengths = generation.source(alone(run.splits.test.element(0)))
    source = tokens[0, : int(lengths[0])].tolist()
    found = attended(generation, evaluated_params(run.state), run.state.stats, source)
    return attention_figure(jnp.asarray(found.weights), outputs=found.outputs, inputs=found.inputs, title=title)


def mistakes_figure(run: LoadedRun, *, title: str) -> Any:
    """Misclassified test images or texts, the most confident first; None for data that are neither."""
    import jax.numpy as jnp

    from fjdl.data.source import to_arrays
    from fjdl.plots import mistakes, text_mistakes

    example, coders = run.splits.test.element(0), getattr(run.splits, "coders", {})
    of_text = "tokens" in coders and {"tokens", "length"} <= example.keys()
    if not of_text and not {"image", "label"} <= example.keys():
        return None
    arrays = to_arrays(run.splits.test)
    label, predicted, certainty = (jnp.asarray(each) for each in (arrays["label"], *predictions(run)))
    options = {"classes": run.splits.classes, "title": title}
    if not of_text:
        return mistakes(jnp.asarray(arrays["image"]), label, predicted, certainty, **options)
    rows = zip(arrays["tokens"], arrays["length"], strict=True)
    texts = [coders["tokens"].decode(ids[:length]) for ids, length in rows]
    return text_mistakes(texts, label, predicted, certainty, **options)


def predictions(run: LoadedRun) -> tuple[Any, Any]:
    """The class of each test example and its probability, computed in the batches in which the run is evaluated."""
    import jax.numpy as jnp

    from fjdl.train.state import evaluated_params

    probabilities_of = run.recipe.told.probabilities

    def answer(outputs: Any) -> Any:
        probabilities = probabilities_of(outputs)
        return jnp.argmax(probabilities, axis=-1), probabilities.max(axis=-1)

    params, stats = evaluated_params(run.state), run.state.stats
    return run.program.evaluator.predict(params, stats, run.splits.test, answer=answer)


if __name__ == "__main__":
    run_guarded(main)
