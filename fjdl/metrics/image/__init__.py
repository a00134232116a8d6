"""How similar two images are.

May import `fjdl.metrics.base`, `fjdl.metrics.state`, `fjdl.metrics.regression` and floor 0.

>>> from fjdl import metrics
>>> image = jnp.linspace(0.0, 1.0, 64).reshape(1, 8, 8, 1)
>>> metrics.peak_signal_noise_ratio(image, image + 0.1, data_range=1.0).round(3)
Array([20.], dtype=float32)
"""

_FILES = ("signal_noise", "structural_similarity")


def __dir__() -> list[str]:
    return list(_FILES)
