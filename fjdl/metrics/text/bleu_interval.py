"""How far the BLEU of a corpus depends on which sentences it holds."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from fjdl.metrics.text.bleu_counts import BleuCounts, Smoothing, Streams, Tokenize, bleu_counts, bleu_score
from fjdl.metrics.text.tokenize import tokenize_13a
from fjdl.metrics.uncertainty.bootstrap import bootstrap_interval
from fjdl.numerics import widened
from fjdl.typing import Array, PRNGKey, Scalar, typed

_SMOOTHING = Smoothing("exp", 0.0)


@typed
def bleu_interval(
    key: PRNGKey,
    hypotheses: Sequence[str],
    references: Streams,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    lowercase: bool = False,
    tokenize: Tokenize = tokenize_13a,
    max_order: int = 4,
) -> tuple[Scalar, Scalar]:
    """The quantiles at (1 ± confidence) / 2 of `corpus_bleu` over corpora whose sentences are drawn with replacement.

    Sentences are counted once, on the host; corpora are drawn and scored on the device (Koehn 2004). The arguments are
    those of `corpus_bleu`, with its smoothing "exp". Raises `ValueError` for no sentences.
    """
    each = bleu_counts(hypotheses, references, lowercase=lowercase, tokenize=tokenize, max_order=max_order)
    if not each:
        raise ValueError("hypotheses must hold at least one sentence, got none")
    counts = [jnp.asarray(np.stack(part).astype(np.int32)) for part in zip(*each, strict=True)]

    def score(*parts: Array) -> Scalar:
        total = BleuCounts(*[widened(jnp.sum(part, axis=0)) for part in parts])
        return bleu_score(jnp, total, smoothing=_SMOOTHING, effective_order=False)[0]

    return bootstrap_interval(key, score, *counts, resamples=resamples, confidence=confidence, method="percentile")
