import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl import metrics

RNG = np.random.default_rng(0)
LABELS, TIED = RNG.integers(0, 2, (6, 4)), RNG.integers(0, 3, (6, 4)).astype(np.float32)
RELEVANCE, WEIGHTS = RNG.random((6, 4)).astype(np.float32), RNG.integers(0, 3, 6).astype(np.float32)


def test_weighted_scores_equal_scikit_learn():
    for ours, theirs, arrays in (
        (metrics.coverage_error, sk.coverage_error, (LABELS, TIED)),
        (metrics.label_ranking_average_precision_score, sk.label_ranking_average_precision_score, (LABELS, TIED)),
        (metrics.label_ranking_loss, sk.label_ranking_loss, (LABELS, TIED)),
        (metrics.dcg_score, sk.dcg_score, (RELEVANCE, TIED)),
        (metrics.ndcg_score, sk.ndcg_score, (RELEVANCE, TIED)),
    ):
        expected = theirs(*arrays, sample_weight=WEIGHTS)
        np.testing.assert_allclose(ours(*arrays, sample_weight=WEIGHTS), expected, rtol=2e-6)
        assert np.isnan(ours(*arrays, sample_weight=0 * WEIGHTS))
        unknown = arrays[0], np.where(WEIGHTS[:, None] == 0, np.nan, arrays[1]).astype(np.float32)
        np.testing.assert_allclose(ours(*unknown, sample_weight=WEIGHTS), expected, rtol=2e-6)


def test_partial_areas_and_samples_weigh_too():
    y, x, w = RNG.permutation(np.arange(40) % 2), RNG.integers(0, 9, 40).astype(np.float32), RNG.random(40)
    expected = sk.roc_auc_score(y, x, max_fpr=0.3, sample_weight=w)
    np.testing.assert_allclose(metrics.roc_auc_score(y, x, max_fpr=0.3, sample_weight=w), expected, rtol=1e-5)
    np.testing.assert_allclose(metrics.roc_auc_score(y, x, max_fpr=1.0), sk.roc_auc_score(y, x), rtol=1e-6)
    indicators, scores = np.array([[1, 0, 1], [0, 1, 1]]), np.float32([[0.5, 0.5, 0.1], [0.2, 0.3, 0.1]])
    options = {"average": "samples", "sample_weight": np.float32([1, 3])}
    expected = sk.roc_auc_score(indicators, scores, **options)
    np.testing.assert_allclose(metrics.roc_auc_score(indicators, scores, **options), expected, rtol=1e-6)


def test_the_curve_of_detection_errors_holds_the_points_of_scikit_learn():
    y, x = RNG.permutation(np.arange(20) % 2), RNG.integers(0, 7, 20).astype(np.float32)
    found = np.stack(metrics.drop_repeated(metrics.det_curve(y, x)))
    expected = np.stack(sk.det_curve(y, x))
    first = np.flatnonzero(found[1] == 0)[-1]
    last = np.flatnonzero(found[0] == 0)[0]
    np.testing.assert_allclose(found[:, first : last + 1], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: metrics.ndcg(k=0), "^k must be at least 1, got 0$"),
        (lambda: metrics.dcg_score(RELEVANCE, TIED, k=0), "^k must be at least 1, got 0$"),
        (lambda: metrics.dcg_score(RELEVANCE, TIED, log_base=1.0), "^log_base must be above 1, got 1.0$"),
        (lambda: metrics.roc_auc_score(LABELS[0], TIED[0], max_fpr=1.5), r"^max_fpr must lie in \(0, 1\], got 1.5$"),
        (
            lambda: metrics.coverage_error(LABELS + 1, TIED),
            "^y_true must hold booleans, or 0 and 1, or -1 and 1, got 1, 2$",
        ),
    ],
)
def test_options_out_of_range_are_refused(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
