"""What the losses of a training's epochs tell: whether they diverge, swing, stand still, rise again or still fall."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from fjdl.diagnosis.finding import Finding, finding, percent

Records = Sequence[Mapping[str, Any]]  # of the epochs in order, as in metrics.jsonl

DIVERGED = 2.0  # times the lowest training loss, at which the last one has left it
RISES, SWING = 1 / 3, 0.1  # share of epochs in which a loss rises, and mean change as a share of its mean
STILL, LONG, LEARNED = 0.01, 1 / 3, 0.05  # fall of a loss that counts, share of all epochs, share of the first loss
FALLING = 0.02  # fall of the validation loss in the last fifth of all epochs
LOST = 0.05  # rise of the validation loss above its lowest: GL(5)
SPIKE = 10.0  # times the median norm


def divergence(records: Records) -> Finding:
    """Whether the training loss left where it had been, or steps were not finite.

    There is trouble where a loss is not finite, a step was refused (`train_bad`), or the last training loss exceeds
    the first one and twice the lowest; the factor is ours: batches of an epoch differ by less. Raises `ValueError`
    where no record has a training loss.
    """
    losses = _losses(records, "train_loss")
    refused = int(sum(record.get("train_bad", 0) for record in records))
    infinite = sum(not math.isfinite(loss) for loss in losses)
    left = math.isfinite(losses[-1]) and losses[-1] > max(losses[0], DIVERGED * _lowest(losses))
    told = f"the training loss went from {losses[0]:.4g} to {losses[-1]:.4g}, at its lowest {_lowest(losses):.4g}"
    steps = f"{refused or 'no'} step{'s' if refused > 1 else ''} had to be refused"
    return finding(
        "divergence",
        f"{told}; {steps} as not finite",
        trouble=bool(infinite or refused or left),
        advice=(
            "divide the learning rate by 3 to 10, or look for its range: python -m experiments.rate_range CONFIG",
            "let the rate rise over the first steps (warm-up), and clip the norm of the gradient",
            "in float16, whose largest number is 65504, train in bfloat16, which reaches as far as float32",
            "where the record names the examples of a refused step, look at them: a NaN or a wrong scale in the data",
        ),
        first=losses[0],
        last=losses[-1],
        refused=refused,
    )


def oscillation(records: Records) -> Finding:
    """Whether the training loss swings from epoch to epoch in the second half of the training.

    There is trouble where it rises in more than a third of these epochs, by a mean change of more than 10 % of its
    mean, and has not fallen below 1 % of the first loss, where noise is all there is; the numbers are ours. Fewer than
    4 changes tell nothing. Raises `ValueError` where no record has a training loss.
    """
    losses = _finite(_losses(records, "train_loss"))
    half = losses[len(losses) // 2 :]
    changes = [new - old for old, new in itertools.pairwise(half)]
    if len(changes) < 4:
        return finding("oscillation", f"{len(losses)} epochs are too few to see a loss swing", trouble=False, advice=())
    rises, level = sum(change > 0 for change in changes) / len(changes), statistics.fmean(half)
    swing = statistics.fmean(map(abs, changes)) / level if level > 0 else 0.0
    return finding(
        "oscillation",
        f"in the second half of the training its loss rose in {percent(rises)} of the epochs, and changed by "
        f"{percent(swing)} of its mean from one to the next",
        trouble=rises > RISES and swing > SWING and level > 0.01 * losses[0],
        advice=(
            "lower the learning rate, or let it fall over the training (cosine, steps)",
            "take larger batches, or an average of the parameters (Recipe(ema=0.99)): its evaluation is steadier",
        ),
        rises=rises,
        swing=swing,
    )


def plateau(records: Records) -> Finding:
    """Whether the training loss stands still long before it is small.

    It stands still since the last epoch whose loss was more than 1 % above the lowest of all. There is trouble where
    that is at least 5 epochs and a third of the training, and the lowest loss is more than 5 % of the first; the
    numbers are ours. Raises `ValueError` where no record has a training loss.
    """
    losses = _finite(_losses(records, "train_loss"))
    lowest = min(losses, default=math.nan)
    above = [number for number, loss in enumerate(losses, start=1) if loss > (1 + STILL) * lowest]
    since = above[-1] + 1 if above else 1
    still = max(0, len(losses) - since)
    told = f"the training loss has not fallen by more than 1 % in the last {still} of {len(losses)} epochs"
    told = told if still else f"the training loss fell by more than 1 % up to the last of {len(losses)} epochs"
    ends = f", from {losses[0]:.4g} at first to {lowest:.4g}" if losses else ""
    return finding(
        "plateau",
        told + ends if losses else "no training loss was finite",
        trouble=still >= max(5, LONG * len(losses)) and lowest > LEARNED * losses[0],
        advice=(
            "where it never fell: ask whether the model can learn at all, python -m experiments.overfit CONFIG",
            "let the learning rate fall when the loss stands still; where it is tiny already, raise it",
            "give the model more layers or units; look at the gradients and units of its layers (--evaluate)",
        ),
        still=still,
        lowest=lowest,
    )


def too_short(records: Records) -> Finding:
    """Whether training ended while the validation loss still fell.

    There is trouble where the lowest validation loss is that of the last epoch, and more than 2 % below the lowest
    before the last fifth of the epochs; the numbers are ours. A single epoch tells nothing. Raises `ValueError` where
    no record has a validation loss.
    """
    losses = _losses(records, "validation_loss")
    last = max(1, len(losses) // 5)
    before, after = _finite(losses[:-last]), _finite(losses[-last:])
    if not before or not after:
        return finding("too short", "one epoch tells nothing about the next", trouble=False, advice=())
    fall = 1 - min(after) / min(before) if min(before) > 0 else 0.0
    return finding(
        "too short",
        f"in the last {last} of {len(losses)} epochs the lowest validation loss "
        + (f"fell by {percent(fall)}, to {min(after):.4g}" if fall > 0 else f"stayed at {min(before):.4g}"),
        trouble=losses[-1] == min(before + after) and fall > FALLING,
        advice=("train for more epochs: there were too few iterations", "or raise the learning rate, if it is stable"),
        fall=fall,
        epochs=len(losses),
    )


def overfitting(records: Records) -> Finding:
    """Whether the validation loss rose again while the training loss went on falling.

    There is trouble where the last validation loss is more than 5 % above the lowest, the criterion GL(5) of Prechelt
    1998, "Early stopping - but when?", and the training loss is below that of the epoch of the lowest. Raises
    `ValueError` where no record has both losses.
    """
    pairs = [
        (record["validation_loss"], record["train_loss"], record.get("epoch", number))
        for number, record in enumerate(records, start=1)
        if math.isfinite(record.get("validation_loss", math.nan)) and math.isfinite(record.get("train_loss", math.nan))
    ]
    if not pairs:
        raise ValueError("records must have finite train_loss and validation_loss, got none")
    (lowest, then, best), (last, now, end) = min(pairs), pairs[-1]
    rise = last / lowest - 1 if lowest > 0 else 0.0
    words = f"the validation loss was lowest at epoch {best} ({lowest:.4g})"
    fell = "fell" if now < then else "did not fall"
    after = f" and is {percent(rise)} above that at epoch {end}, while the training loss {fell}" if end != best else ""
    return finding(
        "overfitting",
        words + (after or ", the last one"),
        trouble=rise > LOST and now < then,
        advice=(
            "evaluate the best epoch, as this library does, and stop early: Recipe(patience=10)",
            "more data, or augmentation where the examples are images or texts",
            "weight decay (L2) by default, dropout before large dense layers; batch normalization alone is not enough",
            "a smaller model, where the others do not help",
        ),
        rise=rise,
        best_epoch=best,
    )


def gradient_spikes(records: Records) -> Finding:
    """Whether the norm of the gradient explodes now and then.

    Each record has the largest norm of its epoch (`train_gradient_norm`). There is trouble where one is more than ten
    times the median over epochs; the factor is ours. Pascanu et al. 2013, arXiv:1211.5063, clip for that reason.
    Raises `ValueError` where no record has a norm.
    """
    norms = _finite(_losses(records, "train_gradient_norm"))
    median, largest = (statistics.median(norms), max(norms)) if norms else (math.nan, math.nan)
    ratio = largest / median if median > 0 else 1.0
    return finding(
        "gradient spikes",
        f"the largest norm of the gradient was {largest:.4g}, {ratio:.3g} times the median over epochs",
        trouble=ratio > SPIKE,
        advice=(
            "clip the norm: optax.chain(optim.clip_by_global_norm(1.0), ...)",
            "let the learning rate rise over the first steps, if the large norm is in the first epoch",
        ),
        largest=largest,
        ratio=ratio,
    )


def _losses(records: Records, name: str) -> list[float]:
    values = [float(record[name]) for record in records if name in record]
    if not values:
        raise ValueError(f"records must have {name}, got {len(records)} without it")
    return values


def _finite(values: list[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _lowest(values: list[float]) -> float:
    return min(_finite(values), default=math.nan)
