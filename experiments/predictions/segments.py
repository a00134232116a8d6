"""The class of each pixel: masks, overlays and shares; and worst and best cases beside the truth."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.evaluate import LoadedRun
from experiments.predictions.base import BACKGROUND, Limits, Told, class_name, shown, variables_of, worst_and_best
from fjdl.data.source import Picture
from fjdl.train.answers import Segmented

VOID = 255  # of no class: what the model did not see, and where it gave NaN


def told(answer: Segmented, picture: Picture, classes: Sequence[str], limits: Limits) -> Told:
    """`{"shares": {name: share}}` of the pixels with a class, in the order of the classes that occur; mask and overlay.

    All of them are at the size of the file.
    """
    del limits
    from fjdl.plots import class_colours, covered, image_png, mask_png

    mask = picture.mask(_bytes(answer.classes[0]), outside=VOID)
    counts = np.bincount(mask[mask != VOID], minlength=1)
    shares = {class_name(classes, int(k)): round(float(counts[k] / counts.sum()), 6) for k in np.flatnonzero(counts)}
    background = classes.index(BACKGROUND) if BACKGROUND in classes else None
    colours = class_colours(max(len(classes), len(counts)), background=background)
    overlay = covered(picture.original, mask, colours)
    return Told({"shares": shares}, {"mask": mask_png(mask, colours), "overlay": image_png(overlay)})


def figures(run: LoadedRun, *, title: str) -> dict[str, Any]:
    """Images of the test part beside their true and predicted classes, the worst and the best ones by their score.

    The score is the run's headline, of each image alone.
    """
    import jax.numpy as jnp

    from fjdl.plots import segments_figure
    from fjdl.train.prediction import judge, predictor

    source, summary, variables = run.splits.test, run.recipe.told, variables_of(run)
    score, answer = judge(run.recipe), predictor(run.recipe)
    scores = [score(*variables, source.element(number)) for number in range(source.length)]
    cases = worst_and_best(scores, better=summary.better)
    if not cases:
        return {}
    score_name = summary.headline.replace("_", " ").replace("iou", "IoU")
    examples = shown(run, [place for place, _ in cases])
    predicted: list[Any] = [answer(*variables, example) for example in examples]
    figure = segments_figure(
        jnp.asarray(np.stack([example["image"] for example in examples])),
        jnp.asarray(np.stack([example["mask"].astype(np.int32) for example in examples])),
        jnp.asarray(np.stack([_bytes(each.classes[0]).astype(np.int32) for each in predicted])),
        captions=[caption for _, caption in cases],
        classes=run.splits.classes,
        title=title,
        note=f"{score_name} of each image; {len(cases)} of {source.length:,} images",
    )
    return {"cases": figure}


def _bytes(classes: Any) -> np.ndarray:
    return np.where((classes < 0) | (classes > VOID), VOID, classes).astype(np.uint8)
