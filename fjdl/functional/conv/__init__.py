"""Convolutions in one, two and three dimensions, their gradients, and other algorithms with the same result.

Arrays are channels last, kernels `[*window, channels in, channels out]`. May import what `fjdl.functional` may, and
`fjdl.functional` itself.

>>> from fjdl.functional.conv.conv1d import conv1d
>>> signal = jnp.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 4, 1)
>>> difference = jnp.array([-1.0, 1.0]).reshape(2, 1, 1)
>>> conv1d(signal, difference, padding="VALID")[0, :, 0]
Array([1., 2., 4.], dtype=float32)
"""

from fjdl.functional.conv.conv2d import conv2d

__all__ = ["conv2d"]


def __dir__() -> list[str]:
    return __all__
