"""What numbers of a training mean, in words, and what to do: pure functions of records, shares, norms and counts.

Each gives a `Finding`: whether there is trouble, one sentence with the numbers, and advice. They take plain numbers on
the host, so they serve records of any training. Thresholds stand in the docstrings, with their source, or as ours where
they have none. `python -m experiments.diagnose RUN` calls all of them. May import floor 0.

>>> from fjdl import diagnosis
>>> records = [
...     {"epoch": n, "train_loss": 1 / n, "validation_loss": loss} for n, loss in enumerate((1.0, 0.5, 0.6), start=1)
... ]
>>> found = diagnosis.overfitting(records)
>>> found.trouble
True
>>> found.words.split(",")[0]
'the validation loss was lowest at epoch 2 (0.5) and is 20 % above that at epoch 3'
"""

from fjdl.diagnosis.curves import divergence, gradient_spikes, oscillation, overfitting, plateau, too_short
from fjdl.diagnosis.finding import Finding
from fjdl.diagnosis.gaps import different_parts, loss_gap, score_gap
from fjdl.diagnosis.layers import dead_units, gradient_flow, saturated_units
from fjdl.diagnosis.learning import can_learn
from fjdl.diagnosis.scores import miscalibration, suspect_labels, weak_classes

__all__ = [
    "Finding", "can_learn", "dead_units", "different_parts", "divergence", "gradient_flow", "gradient_spikes",
    "loss_gap", "miscalibration", "oscillation", "overfitting", "plateau", "saturated_units", "score_gap",
    "suspect_labels", "too_short", "weak_classes",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
