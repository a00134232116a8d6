"""Scores of an order: curves over thresholds and the areas below them, precision at ranks, rankings of labels.

May import `fjdl.metrics.base`, `fjdl.metrics.state` and floor 0.

>>> from fjdl import metrics
>>> truth, score = jnp.array([0, 0, 1, 1]), jnp.array([0.1, 0.4, 0.35, 0.8])
>>> metrics.roc_auc_score(truth, score)
Array(0.75, dtype=float32)
>>> metrics.measure(metrics.collected(metrics.roc_auc_score, capacity=8), score, truth)
Array(0.75, dtype=float32)
"""

_FILES = ("areas", "curves", "delong", "interpolated_precision", "label_ranking", "ranks", "score_store")


def __dir__() -> list[str]:
    return list(_FILES)
