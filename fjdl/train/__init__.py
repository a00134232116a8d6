"""Training: a `Recipe` says what, `fit` does it, a run directory holds what came out.

The loop, the compiled program, checkpoints, progress and tasks stand here; Flax and mathematics do not. May import
every floor below 5 but `fjdl.nn` and `fjdl.models`, which a recipe hands in as a `Model`.

>>> from fjdl import models, nn, optim
>>> from fjdl.data.embedded import iris
>>> from fjdl.train import Recipe
>>> from fjdl.train.tasks import classification
>>> task = classification(3)
>>> recipe = Recipe(
...     splits=iris, model=nn.pure(models.MLP(hidden=(8,), classes=3)), inputs=lambda batch: batch["features"],
...     loss=task.loss, metrics=task.metrics, optimizer=lambda steps: optim.adam(1e-2), epochs=2, batch_size=16,
... )
>>> recipe.monitor, recipe.precision
('accuracy', 'float32')
"""

from fjdl.train.evaluation import evaluate
from fjdl.train.layout import Layout, fully_sharded, split
from fjdl.train.loop import fit
from fjdl.train.pretrained import Pretrained
from fjdl.train.rate_range import RateRange, learning_rate_range, suggested_rates
from fjdl.train.recipe import Recipe
from fjdl.train.trained import TrainedRun, load_run
from fjdl.train.whole import whole_training

__all__ = [
    "Layout",
    "Pretrained",
    "RateRange",
    "Recipe",
    "TrainedRun",
    "evaluate",
    "fit",
    "fully_sharded",
    "learning_rate_range",
    "load_run",
    "split",
    "suggested_rates",
    "whole_training",
]


def __dir__() -> list[str]:
    return __all__
