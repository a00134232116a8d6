"""Errors of predicted numbers, and how much of the variation they explain.

`streaming` has the metrics over batches, `scores` the one-shot functions with scikit-learn's names. May import
`fjdl.metrics.base`, `fjdl.metrics.state` and floor 0.

>>> from fjdl import metrics
>>> truth, guess = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([1.0, 2.0, 3.0, 6.0])
>>> metrics.mean_absolute_error(truth, guess), metrics.measure(metrics.rmse(), guess, truth)
(Array(0.5, dtype=float32), Array(1., dtype=float32))
"""

_FILES = ("correlation", "deviance", "quantile", "scores", "streaming")


def __dir__() -> list[str]:
    return list(_FILES)
