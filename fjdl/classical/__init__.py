"""Classical models on small tables: linear and logistic regression, and classification strategies built on them.

May import floor 0 and `fjdl.losses`.

>>> from fjdl import classical
>>> x = jnp.array([[0.0], [1.0], [2.0]])
>>> params = classical.normal_equations(x, 3.0 * x + 1.0)
>>> classical.decision(params, jnp.array([[4.0]])).round(4)
Array([[13.]], dtype=float32)
"""

from fjdl.classical.descent import Descent, descend, steps_per_epoch
from fjdl.classical.linear import Linear, decision, normal_equations, squared_error, zeros
from fjdl.classical.logistic import (
    binary_loss,
    fit_binary,
    fit_softmax,
    predict_binary,
    predict_class,
    softmax_loss,
)
from fjdl.classical.multiclass import multilabel, one_vs_one, one_vs_rest, pairs, vote

__all__ = [
    "Descent", "Linear", "binary_loss", "decision", "descend", "fit_binary", "fit_softmax", "multilabel",
    "normal_equations", "one_vs_one", "one_vs_rest", "pairs", "predict_binary", "predict_class", "softmax_loss",
    "squared_error", "steps_per_epoch", "vote", "zeros",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
