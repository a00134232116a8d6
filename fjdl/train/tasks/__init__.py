"""Losses and metrics of common tasks, as a recipe takes them: functions of `(outputs, batch)`.

One task a file: a function that returns a `Task`, whose loss also says what the data must hold and how results are
told. Formulas stand in `fjdl.losses` and `fjdl.metrics`. May import what `fjdl.train` may and `fjdl.train`.

>>> from fjdl.train.tasks import classification
>>> task = classification(3)
>>> task.loss(jnp.zeros((2, 3)), {"label": jnp.array([0, 2])})
Array([1.098..., 1.098...], dtype=float32)
>>> task.loss.summary.headline, sorted(task.metrics)
('accuracy', ['accuracy', 'confusion'])
"""

from fjdl.train.summary import Summary
from fjdl.train.tasks.base import Requirement, Task, TaskLoss
from fjdl.train.tasks.classification import classification
from fjdl.train.tasks.detection import detection
from fjdl.train.tasks.grid_detection import grid_detection
from fjdl.train.tasks.localization import localization
from fjdl.train.tasks.regression import regression
from fjdl.train.tasks.retrieval import retrieval
from fjdl.train.tasks.segmentation import segmentation
from fjdl.train.tasks.sequence import language_model, tagging, translation
from fjdl.train.tasks.two_stage import two_stage_detection

__all__ = [
    "Requirement",
    "Summary",
    "Task",
    "TaskLoss",
    "classification",
    "detection",
    "grid_detection",
    "language_model",
    "localization",
    "regression",
    "retrieval",
    "segmentation",
    "tagging",
    "translation",
    "two_stage_detection",
]


def __dir__() -> list[str]:
    return __all__
