"""Scores of predicted classes and of class probabilities.

`streaming` and `confusion_table` count, `rates`, `agreement` and `averaged_scores` compute from the counts, and
`label_scores` has the one-shot functions with scikit-learn's names. May import `fjdl.metrics.base`,
`fjdl.metrics.state` and floor 0.

>>> from fjdl import metrics
>>> guesses, labels = jnp.array([0, 1, 0]), jnp.array([0, 1, 1])
>>> metrics.measure(metrics.confusion_matrix(2), guesses, labels)
Array([[1., 0.],
       [1., 1.]], dtype=float32)
>>> metrics.precision_score(labels, guesses, average=None)
Array([0.5, 1. ], dtype=float32)
"""

_FILES = (
    "agreement", "averaged_scores", "confusion_table", "inspection", "label_scores", "multilabel", "outcomes",
    "probabilities", "rates", "report", "streaming",
)  # fmt: skip


def __dir__() -> list[str]:
    return list(_FILES)
