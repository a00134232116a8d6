import jax
import numpy as np
import pytest
import sacrebleu

from fjdl.metrics.text.bleu_interval import bleu_interval

HYPOTHESES = ["the cat sat on the mat", "a dog is there now", "yes it is so", "the dog sat on a mat", "no"]
REFERENCES = [
    "the cat is on the mat", "there is a dog here now", "yes it is so", "the dog sat on the mat", "no it is not",
]  # fmt: skip


@pytest.mark.by_day_on_pin(1)
def test_corpora_drawn_anew_are_scored_as_sacrebleu_does() -> None:
    key, resamples = jax.random.key(1), 40
    keys = jax.random.split(key, resamples)
    drawn = jax.vmap(lambda key: jax.random.randint(key, (5,), 0, 5))(keys)
    scores = [
        sacrebleu.corpus_bleu([HYPOTHESES[i] for i in rows], [[REFERENCES[i] for i in rows]]).score
        for rows in np.asarray(drawn)
    ]
    found = bleu_interval(key, HYPOTHESES, [REFERENCES], resamples=resamples, confidence=0.8)
    np.testing.assert_allclose(found, np.quantile(scores, [0.1, 0.9]), rtol=1e-4)
    assert found[0] < sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES]).score < found[1]


def test_no_sentences_have_no_interval() -> None:
    with pytest.raises(ValueError, match=r"^hypotheses must hold at least one sentence, got none$"):
        bleu_interval(jax.random.key(0), [], [[]])
