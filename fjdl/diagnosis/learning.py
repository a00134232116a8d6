"""Whether a model can learn a few examples by heart."""

import math
from collections.abc import Sequence

from fjdl.diagnosis.finding import Finding, few, finding, percent

NOTHING = 0.01  # of the first loss, below which the loss counts as learned
SOME = 0.9  # of the first loss, above which nothing was learned


def can_learn(
    losses: Sequence[float], *, score: float | None = None, name: str = "loss", unmoved: Sequence[str] = ()
) -> Finding:
    """Whether training on a few examples brought them to 100 % or the loss near 0.

    `losses` begin with that before training. `score` is the last one, a proportion called `name`, where the task has
    one; `unmoved` names parameters whose gradient was 0 at the first step. It can learn where the score is 1 or the
    last loss is below 1 % of the first; the number is ours, and a loss whose least value is not 0, as with smoothed
    labels, is judged by the score alone. There is trouble otherwise. Raises `ValueError` for fewer than two losses.

    >>> can_learn([2.0, 1.0, 0.01]).trouble, can_learn([2.0, 1.99]).trouble
    (False, True)
    """
    if len(losses) < 2:
        raise ValueError(f"losses must hold that before training and one more, got {len(losses)}")
    first, last, steps = losses[0], losses[-1], len(losses) - 1
    learned = math.isfinite(last) and (score == 1 or (first > 0 and abs(last) <= NOTHING * first))
    told = f"loss {first:.4g} → {last:.4g}" + ("" if score is None else f", {name} {percent(score)}")
    numbers = {"first_loss": first, "last_loss": last, "steps": steps} | ({} if score is None else {name: score})
    if learned:
        words = f"model and gradient can learn: after {steps} steps the examples are learned ({told})"
        return finding("can learn", words, trouble=False, advice=(), **numbers)
    if not math.isfinite(last):
        why, advice = "the loss is not finite", ("lower the learning rate", "look for log 0, 0 / 0 and inputs of NaN")
    elif last > SOME * first:
        why, advice = "the loss has hardly moved", _STUCK
    else:
        why, advice = "it learns too slowly, or part of it cannot", _SLOW
    zero = f"; the first gradient is 0 in {few(list(unmoved))}" if unmoved else ""
    words = f"the examples are not learned after {steps} steps ({told}): {why}{zero}"
    return finding("can learn", words, trouble=True, advice=advice, **numbers)


_STUCK = (
    "look at inputs and labels of one batch together: do they belong to each other, and are inputs of about size 1?",
    "raise the learning rate by 10, or find its range: python -m experiments.rate_range CONFIG",
    "look at the signs of the loss, stopped gradients, and the activation behind the last layer (logits have none)",
    "two examples with the same input and different labels cannot both be learned",
)
_SLOW = (
    "give it more steps (--steps) and a larger learning rate",
    "compare with a larger model: fewer parameters than examples cannot store them",
    "switch off what remains of regularization in the model, such as dropout",
)
