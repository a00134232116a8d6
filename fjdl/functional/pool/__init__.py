"""Pooling over windows of a given size, to a given size, by norms, over time, with its inverses.

Arrays are channels last. `windows` has what all pools share; the gradients stand beside the pool they belong to; `time`
makes one vector of a sequence with a length. May import `fjdl.functional.windows`, `fjdl.functional.activations`,
`fjdl.functional.attention` and what `fjdl.functional` may.

>>> from fjdl.functional import max_pool2d_with_indices, max_unpool2d
>>> x = jnp.array([[1.0, 2.0], [4.0, 3.0]]).reshape(1, 2, 2, 1)
>>> largest, indices = max_pool2d_with_indices(x, window=2)
>>> max_unpool2d(largest, indices, size=(2, 2))[0, :, :, 0]
Array([[0., 0.],
       [4., 0.]], dtype=float32)
"""

_FILES = ("adaptive", "average", "fixed", "maximum", "norm", "time", "unpool", "windows")


def __dir__() -> list[str]:
    return list(_FILES)
