import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.metrics.base import measure
from fjdl.metrics.text.surprisal import perplexity

METRIC = perplexity()
update = jax.jit(lambda state, x, y, weights: METRIC.update(state, x, y, weights=weights))


def test_sentences_of_any_lengths_give_the_perplexity_of_the_text(rng):
    logits, labels = np.float32(rng.standard_normal((4, 5, 7))), rng.integers(0, 7, (4, 5))
    mask = np.arange(5) < np.array([5, 1, 0, 3])[:, None]
    labels[~mask] = -100
    states = [update(METRIC.init(), logits[i : i + 1], labels[i : i + 1], mask[i : i + 1]) for i in range(4)]
    total = METRIC.merge(METRIC.merge(states[0], states[1]), METRIC.merge(states[2], states[3]))
    flat = torch.tensor(logits.reshape(-1, 7)).double(), torch.tensor(labels.reshape(-1))
    expected = torch.nn.functional.cross_entropy(*flat, ignore_index=-100).exp()
    assert METRIC.compute(total) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_computed_in_float32(rng, dtype):
    logits, labels = jnp.asarray(rng.standard_normal((3, 4096)), dtype), np.array([1, 2, 4095])
    wide = torch.tensor(np.asarray(logits, np.float64))
    expected = torch.nn.functional.cross_entropy(wide, torch.tensor(labels)).exp()
    value = measure(METRIC, logits, labels)
    assert value.dtype == jnp.float32
    assert value == pytest.approx(float(expected), rel=1e-6)


def test_large_vocabulary_numbers_fit_small_dtypes():
    value = measure(METRIC, np.zeros((2, 300), np.float32), np.uint8([255, 0]))
    assert value == pytest.approx(300, rel=1e-6)
