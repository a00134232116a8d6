"""Decoding: sequences of tokens from a model of the next one, by the best token, by chance, or by beam search.

A step `(state, tokens [n]) -> (logits [n, k], state)` stands for any model: its state is a recurrent carry, a cache of
keys and values, or the memory of an encoder, with the n sequences along the first axis of each leaf; a leaf without
axes, such as a position, is shared. All steps run in one loop on the device, and ended sequences end it early. Call
these functions under `jax.jit` with parameters as its arguments, so that a second call compiles nothing.
May import floor 0.

>>> from fjdl.decoding import greedy
>>> step = lambda state, tokens: (10 * jax.nn.one_hot((tokens + 1) % 5, 5), state)  # 0 1 2 3 4 0 1 …
>>> decoded = jax.jit(lambda prompt: greedy(step, (), prompt, length=6, end=4))(jnp.array([[1], [3]]))
>>> decoded.tokens
Array([[2, 3, 4, 0, 0, 0],
       [4, 0, 0, 0, 0, 0]], dtype=int32)
>>> decoded.lengths
Array([3, 1], dtype=int32)
"""

from fjdl.decoding.beams import beam_search
from fjdl.decoding.filters import min_p, repetition_penalty, tempered, top_k, top_p
from fjdl.decoding.penalties import average_penalty, length_penalty
from fjdl.decoding.prompts import Decoded, NextToken
from fjdl.decoding.single import greedy, sample

__all__ = [
    "Decoded",
    "NextToken",
    "average_penalty",
    "beam_search",
    "greedy",
    "length_penalty",
    "min_p",
    "repetition_penalty",
    "sample",
    "tempered",
    "top_k",
    "top_p",
]


def __dir__() -> list[str]:
    return __all__
