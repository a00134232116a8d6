import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from fjdl.metrics.ranking import ranks
from tests.support import float64


@pytest.mark.parametrize(("dtype", "width"), [(np.float32, 32), (np.float64, 64)])
def test_keys_are_in_the_order_of_the_scores(dtype, width):
    keys = jax.jit(ranks.sort_keys)

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(arrays(dtype, 6, elements=st.floats(width=width, allow_nan=False)))
    def check(scores):
        with float64():
            found = np.asarray(keys(scores))
        order = np.sign(scores[:, None] - scores[None])
        with np.errstate(invalid="ignore"):
            order = (scores[:, None] > scores[None]).astype(int) - (scores[:, None] < scores[None]).astype(int)
        np.testing.assert_array_equal((found[:, None] > found[None]) * 1 - (found[:, None] < found[None]) * 1, order)
        assert np.all(found > np.iinfo(found.dtype).min)

    with np.errstate(invalid="ignore", over="ignore"):
        check()


def test_denormal_scores_of_either_sign_stay_apart_from_zero():
    scores = np.array([-1e-40, 0, 1e-45, 1e-40], np.float32)
    assert np.all(np.diff(np.asarray(ranks.sort_keys(scores))) > 0)


def test_cumulative_counts_of_more_positives_than_a_chunk_are_those_of_numpy(rng):
    size = 2 * ranks.CHUNK + 5
    scores, positive = rng.integers(0, 50, size).astype(np.float32), rng.random(size) < 0.7
    counted = rng.random(size) < 0.9
    total = jax.jit(lambda *x: ranks.sum_over_positives(*x, lambda at: at.positives_up_to / 1000.0))
    chosen = scores[positive & counted]
    expected = sum((chosen <= score).sum() for score in chosen) / 1000
    np.testing.assert_allclose(total(positive, scores, counted), expected, rtol=1e-6)
