"""What a classifier's answers tell: whether probabilities hold, which classes are weak, which labels are suspect."""

import math
from collections.abc import Sequence

from fjdl.diagnosis.finding import Finding, few, finding, percent

ERROR, TIMES = 0.02, 2.0  # calibration error that counts, and how often it must exceed what chance leaves
RARE = 0.01  # chance that any class has so many mistakes
NORMAL = 100.0  # variance from which a binomial counts as normal
SHARE = 0.01  # of labels


def miscalibration(confidence: Sequence[float], accuracy: Sequence[float], seen: Sequence[float]) -> Finding:
    """Whether probabilities are not the shares of right answers, from the bins of a reliability diagram.

    The expected calibration error (Guo et al. 2017, arXiv:1706.04599) is Σ n_b / n |accuracy_b - confidence_b|. A
    perfect model has one above 0 too, by chance: about Σ n_b / n √(2 c (1 - c) / (π n_b)) at confidences c, the mean
    distance of proportions. There is trouble where the error exceeds twice that, and 0.02; both factors are ours.
    Raises `ValueError` where nothing was seen or the sequences differ in length.
    """
    bins = [bin for bin in zip(confidence, accuracy, seen, strict=True) if bin[2] > 0]
    if not bins:
        raise ValueError("seen must count at least one prediction, got none")
    total = sum(n for _, _, n in bins)
    error = sum(n * abs(a - c) for c, a, n in bins) / total
    chance = sum(n * math.sqrt(2 * c * (1 - c) / (math.pi * n)) for c, _, n in bins) / total
    surplus = sum(n * (c - a) for c, a, n in bins) / total
    sure = "too sure" if surplus > 0 else "not sure enough"
    return finding(
        "calibration",
        f"the expected calibration error is {percent(error)}, of which {percent(chance)} are due to chance at "
        f"n = {total:.0f}; probabilities are {percent(abs(surplus))} {sure} on average",
        trouble=error > max(ERROR, TIMES * chance),
        advice=(
            "divide the logits by a temperature that is fitted on the validation part (Guo et al. 2017)",
            "smooth labels, stop earlier, or average several models, if the model is too sure",
            "choose thresholds on the validation part in place of 0.5",
        ),
        error=error,
        chance=chance,
        surplus=surplus,
    )


def weak_classes(confusion: Sequence[Sequence[float]], *, classes: Sequence[str]) -> Finding:
    """Whether some classes are recognized much more seldom than the others, from a confusion matrix, rows = true.

    There is trouble where a class has more mistakes than chance gives once in 100 matrices, if all classes had the
    share of mistakes of all examples: a binomial test for each class at 0.01 / classes. Raises `ValueError` unless
    there is a row for each class and an example.
    """
    if len(confusion) != len(classes) or not sum(map(sum, confusion)):
        raise ValueError(f"confusion must have examples and one row for each of {len(classes)} classes")
    sizes, right = [sum(row) for row in confusion], [row[k] for k, row in enumerate(confusion)]
    wrong = 1 - sum(right) / sum(sizes)
    weak = [
        k for k, size in enumerate(sizes) if chance_of(int(size - right[k]), int(size), wrong) < RARE / len(classes)
    ]
    weak.sort(key=lambda k: right[k] / sizes[k])
    told = [f"{classes[k]} {percent(right[k] / sizes[k])} (n = {sizes[k]:.0f}){_taken_for(confusion[k], k, classes)}"
            for k in weak]  # fmt: skip
    lowest = min((k for k, size in enumerate(sizes) if size), key=lambda k: right[k] / sizes[k])
    words = f"{few(told)}; all classes together {percent(1 - wrong)}"
    fine = f"the least recall is that of {classes[lowest]}, {percent(right[lowest] / sizes[lowest])}, by chance alone"
    return finding(
        "weak classes",
        f"classes with a low recall: {words}" if weak else fine,
        trouble=bool(weak),
        advice=(
            "look at their mistakes (python -m experiments.plot RUN): are labels right, do classes overlap?",
            "collect more of them, draw them more often, or weigh their loss",
        ),
        weak=len(weak),
        lowest=right[lowest] / sizes[lowest],
    )


def chance_of(successes: int, trials: int, p: float) -> float:
    """The chance of at least so many successes in trials with the chance `p` each, in the tail that matters."""
    if successes <= 0:
        return 1.0
    mean, variance = trials * p, trials * p * (1 - p)
    if variance > NORMAL:
        return math.erfc((successes - 0.5 - mean) / math.sqrt(2 * variance)) / 2
    ways = (math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes))
    return max(0.0, 1 - sum(ways))


def suspect_labels(suspects: int, *, count: int) -> Finding:
    """Whether many labels are likely wrong, from how many confident learning suspects (`metrics.label_suspects`).

    There is trouble where more than 1 % of the labels are, ours; Northcutt et al. 2021, arXiv:2103.14749, found 3.3 %
    in the test parts of ten well-known data sets. Raises `ValueError` unless 0 <= suspects <= count and count >= 1.
    """
    if not (0 <= suspects <= count and count >= 1):
        raise ValueError(f"suspects must lie in [0, count] and count be at least 1, got {suspects} of {count}")
    return finding(
        "label noise",
        f"{suspects} of {count} labels ({percent(suspects / count)}) disagree with what the model is sure of",
        trouble=suspects / count > SHARE,
        advice=(
            "look at them, the most suspicious first, and mend the labels that are wrong",
            "smooth labels or take a loss that forgives some of them, where they cannot be mended",
        ),
        suspects=suspects,
        share=suspects / count,
    )


def _taken_for(row: Sequence[float], own: int, classes: Sequence[str]) -> str:
    other = max((k for k in range(len(row)) if k != own), key=lambda k: row[k], default=own)
    return f", taken for {classes[other]} {row[other]:.0f} times" if other != own and row[other] else ""
