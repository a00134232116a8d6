"""What the distances between parts of the data tell: whether to fit better or to generalize better, and where first."""

import math

from fjdl.diagnosis.finding import Finding, finding, percent

POINTS = 0.02  # distance of two scores that counts
DEVIATIONS = 2.0  # standard errors that a distance must exceed as well
RATIO = 1.25  # of a validation loss to a training loss
RARE = 2.576  # standard errors: 1 in 100 by chance, on both sides together

FIT = (
    "first fit the training part: more layers or units, more epochs, a better learning rate, less regularization",
    "ask whether 32 examples can be learned at all: python -m experiments.overfit CONFIG",
    "where the training score cannot rise, look at the labels: --aim is then too high",
)
GENERALIZE = (
    "the training part is fitted, so close the gap: more data, augmentation for images",
    "weight decay (L2) by default, dropout before large dense layers, an early end (Recipe(patience=10))",
    "do not rely on batch normalization alone to regularize",
)


def score_gap(training: float, validation: float, *, count: int, aim: float = 1.0) -> Finding:
    """Whether the training score misses the aim, or the validation score the training score; and which one first.

    Both are proportions such as accuracies, `count` is the number of validation examples, `aim` what the task allows,
    such as the score of people. `aim - training` is the avoidable bias and `training - validation` the variance (Ng
    2018, "Machine learning yearning", chapter 20). There is trouble where the larger of both exceeds 2 points, ours,
    and the variance also two standard errors of the validation score. Raises `ValueError` for scores outside [0, 1] or
    a count below 1.

    >>> score_gap(0.99, 0.90, count=1000).numbers["variance"]
    0.09
    """
    if not (0 <= training <= 1 and 0 <= validation <= 1 and 0 <= aim <= 1 and count >= 1):
        raise ValueError(
            f"training, validation and aim must lie in [0, 1] and count be at least 1, got {training}, {validation}, "
            f"{aim} and {count}"
        )
    bias, variance = round(aim - training, 6), round(training - validation, 6)
    error = math.sqrt(validation * (1 - validation) / count)
    biased, varies = bias > POINTS, variance > max(POINTS, DEVIATIONS * error)
    fit = biased and not (varies and variance > bias)
    told = f"training {percent(training)}, validation {percent(validation)} (n = {count}), aim {percent(aim)}: "
    missing = f"{100 * bias:.3g} points are missing in training, {100 * variance:.3g} more in validation"
    first = "; fit the training part first" if fit else "; close the gap first" if varies else ""
    return finding(
        "gap of scores", told + missing + first, trouble=biased or varies, advice=FIT if fit else GENERALIZE, bias=bias,
        variance=variance,
    )  # fmt: skip


def loss_gap(training: float, validation: float) -> Finding:
    """Whether the validation loss is far above the training loss, of the same parameters without dropout.

    There is trouble where their ratio exceeds 1.25, ours, for positive losses; others, such as negative log
    likelihoods of densities, have no ratio.
    """
    ratio = validation / training if training > 0 else math.inf if validation > 0 else math.nan
    return finding(
        "gap of losses",
        f"the loss is {training:.4g} on training examples and {validation:.4g} on validation examples, "
        f"{ratio:.3g} times as much",
        trouble=ratio > RATIO,
        advice=GENERALIZE,
        training=training,
        validation=validation,
    )


def different_parts(validation: float, test: float, *, counts: tuple[int, int]) -> Finding:
    """Whether validation and test part give scores that differ by more than chance, so that one is unrepresentative.

    Both are proportions of `counts` examples. There is trouble where the distance exceeds 2.576 standard errors of the
    pooled proportion, 1 in 100 by chance (two-proportion z-test). Raises `ValueError` for proportions outside [0, 1]
    or counts below 1.
    """
    if not (0 <= validation <= 1 and 0 <= test <= 1 and min(counts) >= 1):
        raise ValueError(
            f"validation and test must lie in [0, 1] and counts be at least 1, got {validation}, {test} and {counts}"
        )
    pooled = (validation * counts[0] + test * counts[1]) / sum(counts)
    error = math.sqrt(pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1]))
    z = (validation - test) / error if error > 0 else 0.0
    return finding(
        "different parts",
        f"validation {percent(validation)} (n = {counts[0]}) and test {percent(test)} (n = {counts[1]}) are "
        f"{abs(z):.2g} standard errors apart",
        trouble=abs(z) > RARE,
        advice=(
            "one part does not represent the other: draw both from the same examples, shuffled, by class and source",
            "where the test part is meant to be another kind of data, validate on that kind too",
            "look for examples of training or validation that are nearly the same: a score may be too good",
        ),
        z=z,
    )
