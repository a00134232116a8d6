import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl import metrics
from fjdl.metrics import measure

RNG = np.random.default_rng(0)
Y, M = RNG.gamma(2.0, 1.0, (2, 40)).astype(np.float32)
W = RNG.integers(0, 3, 40).astype(np.float32)


@pytest.mark.parametrize("power", [-0.5, 0.0, 1.0, 1.5, 2.0, 3.0])
def test_weighted_deviances_equal_scikit_learn_at_once_and_over_batches(power):
    options = {"power": power, "sample_weight": W}
    expected = sk.mean_tweedie_deviance(Y.astype(np.float64), M, **options)
    np.testing.assert_allclose(metrics.mean_tweedie_deviance(Y, M, **options), expected, rtol=5e-6)
    metric = metrics.tweedie_deviance(power)
    parts = [metric.update(metric.init(), M[part], Y[part], weights=W[part]) for part in (slice(7), slice(7, 40))]
    np.testing.assert_allclose(metric.compute(metric.merge(*parts)), expected, rtol=5e-6)
    expected = sk.d2_tweedie_score(Y.astype(np.float64), M, **options)
    np.testing.assert_allclose(metrics.d2_tweedie_score(Y, M, **options), expected, rtol=2e-5)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_nearly_equal_pairs_keep_their_digits(power):
    y, m = np.float32([1000.5]), np.float32([1000.0])
    expected = sk.mean_tweedie_deviance(y.astype(np.float64), m.astype(np.float64), power=power)
    np.testing.assert_allclose(metrics.mean_tweedie_deviance(y, m, power=power), expected, rtol=5e-4)


def test_rows_of_weight_zero_do_not_count_even_outside_of_the_domain():
    y, m, w = np.float32([1, -5, np.nan]), np.float32([2, 1, 1]), np.array([True, False, False])
    for score in (metrics.mean_gamma_deviance, metrics.mean_poisson_deviance, metrics.mean_squared_log_error):
        np.testing.assert_allclose(score(y, m, sample_weight=w), score(y[:1], m[:1]), rtol=1e-6)
        assert np.isnan(score(y, m))


@pytest.mark.parametrize("power", [0.5, np.inf, np.nan])
def test_powers_without_a_distribution_are_refused(power):
    with pytest.raises(ValueError, match=rf"^power must be finite and not lie in \(0, 1\), got {power}$"):
        metrics.mean_tweedie_deviance(Y, M, power=power)
    with pytest.raises(ValueError, match=r"^power must be finite"):
        metrics.tweedie_deviance(power)


@pytest.mark.parametrize("multioutput", ["raw_values", "uniform_average", np.float32([0.3, 0.7])])
def test_scores_of_several_outputs_equal_scikit_learn(multioutput):
    y, m, w = Y.reshape(20, 2), M.reshape(20, 2), W[:20]
    options = {"sample_weight": w, "multioutput": multioutput}
    for ours, theirs, more in (
        (metrics.mean_squared_log_error, sk.mean_squared_log_error, {}),
        (metrics.root_mean_squared_log_error, sk.root_mean_squared_log_error, {}),
        (metrics.median_absolute_error, sk.median_absolute_error, {}),
        (metrics.mean_pinball_loss, sk.mean_pinball_loss, {"alpha": 0.9}),
        (metrics.d2_pinball_score, sk.d2_pinball_score, {"alpha": 0.9}),
        (metrics.d2_absolute_error_score, sk.d2_absolute_error_score, {}),
    ):
        expected = theirs(y.astype(np.float64), m, **options, **more)
        np.testing.assert_allclose(ours(y, m, **options, **more), expected, rtol=1e-5, err_msg=ours.__name__)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_quantiles_of_weights_are_those_of_repeated_rows(level):
    repeated = np.repeat(Y, W.astype(int))
    expected = np.quantile(repeated, level, method="averaged_inverted_cdf")
    np.testing.assert_allclose(metrics.weighted_quantile(Y, W, level=level), expected, rtol=1e-6)
    chosen = np.quantile(Y[W > 0], level, method="averaged_inverted_cdf")
    np.testing.assert_allclose(metrics.weighted_quantile(Y, W > 0, level=level), chosen, rtol=1e-6)
    assert np.isnan(metrics.weighted_quantile(Y, 0 * W, level=level))


def test_levels_outside_of_0_and_1_are_refused():
    with pytest.raises(ValueError, match=r"^alpha must lie in \[0, 1\], got 1.5$"):
        metrics.mean_pinball_loss(Y, M, alpha=1.5)
    with pytest.raises(ValueError, match=r"^alpha must lie in \[0, 1\], got -1$"):
        metrics.pinball_loss(-1)
    with pytest.raises(ValueError, match=r"^level must lie in \[0, 1\], got 2"):
        metrics.weighted_quantile(Y, level=2.0)


def test_streams_equal_the_scores_of_all_examples():
    pairs = {metrics.msle(): sk.mean_squared_log_error, metrics.pinball_loss(0.5): sk.mean_pinball_loss}
    for metric, theirs in pairs.items():
        np.testing.assert_allclose(measure(metric, M, Y, weights=W), theirs(Y, M, sample_weight=W), rtol=1e-5)
