"""Scores of what is found beside a query: whether its nearest neighbours are of its class.

May import `fjdl.metrics.base`, `fjdl.metrics.state` and floor 0.

>>> from fjdl import metrics
>>> points, labels = jnp.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]), jnp.array([0, 0, 1, 1])
>>> scores = metrics.embedding_retrieval(points, labels, ks=(1, 3))
>>> scores.recall, scores.precision
(Array([1., 1.], dtype=float32), Array([1.        , 0.33333334], dtype=float32))
"""

_FILES = ("embeddings", "neighbours")


def __dir__() -> list[str]:
    return list(_FILES)
