"""Confidence intervals, bootstrap, and whether probabilities say how often a prediction is right.

May import `fjdl.metrics.base`, `fjdl.metrics.state`, `fjdl.metrics.ranking` and floor 0.

>>> from fjdl import metrics
>>> low, high = metrics.wilson_interval(jnp.array(90), jnp.array(100))
>>> f"{low:.3f} {high:.3f}"
'0.826 0.945'
"""

_FILES = ("beta", "bootstrap", "calibration", "intervals", "ratios")


def __dir__() -> list[str]:
    return list(_FILES)
