"""Scores of token sequences: edit distances, n-gram matches, perplexity.

Functions of strings run on the host, functions of token numbers on the device. May import `fjdl.metrics.base`,
`fjdl.metrics.state`, `fjdl.metrics.uncertainty` and floor 0.

>>> from fjdl import metrics
>>> metrics.levenshtein_distance("kitten", "sitting")
3
>>> metrics.measure(metrics.word_error_rate(), ["the cat sat"], ["the cat sat down"])
Array(0.25, dtype=float32)
"""

_FILES = (
    "bleu_counts", "bleu_interval", "bleu_scores", "error_rate", "levenshtein", "ngrams", "surprisal", "tokenize",
)  # fmt: skip


def __dir__() -> list[str]:
    return list(_FILES)
