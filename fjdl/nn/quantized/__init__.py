"""Models that learn to be quantized, and models of integers.

May import Flax, what `fjdl.nn` may, and `fjdl.nn` itself.

>>> from fjdl import models, nn
>>> model, x = nn.pure(models.MLP(hidden=(3,), classes=2)), jnp.ones((2, 4))
>>> learning = fake_quantized(model, x)
>>> params, stats = learning.init(jax.random.key(0), x)
>>> outputs, stats = learning.apply(params, stats, x, train=True)
>>> int(stats["steps"]), sorted(stats["ranges"])
(1, ['hidden1', 'logits'])
"""

from fjdl.nn.quantized.fake import fake_quantized
from fjdl.nn.quantized.integers import Integers, quantized
from fjdl.nn.quantized.layers import Bits
from fjdl.nn.quantized.rounding import rounded_on_data
from fjdl.nn.quantized.sensitivity import sensitivities

__all__ = ["Bits", "Integers", "fake_quantized", "quantized", "rounded_on_data", "sensitivities"]


def __dir__() -> list[str]:
    return __all__
