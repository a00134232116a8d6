"""What streaming metrics count: sums and counts that stay exact over many batches and devices, and their quotients.

May import `fjdl.metrics.base` and floor 0.

>>> from fjdl.metrics.state.mean import mean
>>> metric = mean()
>>> left = metric.update(metric.init(), jnp.array([1.0, 3.0]))
>>> right = metric.update(metric.init(), jnp.array([8.0]))
>>> metric.compute(metric.merge(left, right))
Array(4., dtype=float32)
"""

_FILES = ("amounts", "counts", "covariance", "mean", "rows", "sums")


def __dir__() -> list[str]:
    return list(_FILES)
