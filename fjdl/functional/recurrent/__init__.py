"""Recurrent layers: one step, and all steps of a batch of sequences `[n, t, d]`, for each kind of cell.

Kernels of all gates lie side by side: `[d, gates · h]` for inputs and `[h, gates · h]` for states. All sequences share
the rules of `over_time` in `sequence`; how they run is told in `fjdl.lowering.recurrent`. `spatial_dropout` of
`[n, t, d]` is the dropout that keeps its mask over time (Gal & Ghahramani 2016, arXiv:1512.05287). May import what
`fjdl.functional` may, and `fjdl.functional` itself.

>>> from fjdl.functional.recurrent.elman import rnn
>>> one = jnp.ones((1, 1))
>>> outputs, last = rnn(jnp.ones((1, 3, 1)), one, one, activation=lambda total: total)
>>> outputs[0, :, 0]
Array([1., 2., 3.], dtype=float32)
"""

_FILES = ("cudnn", "elman", "gru", "lstm", "sequence")


def __dir__() -> list[str]:
    return list(_FILES)
