import jax
import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from fjdl.losses import penalties

PARAMS = {
    "dense": {"kernel": np.float32([[1, -2], [0, 3]]), "bias": np.float32([9, 9])},
    "norm": {"scale": np.float32([9]), "bias": np.float32([9])},
}


def test_e88_the_gradient_of_the_squared_penalty_is_2_strength_w():
    value, gradient = jax.value_and_grad(lambda p: penalties.l2(p, strength=0.5))(PARAMS)
    assert value == pytest.approx(0.5 * 14)
    np.testing.assert_allclose(gradient["dense"]["kernel"], [[1, -2], [0, 3]])


def test_the_gradient_of_the_absolute_penalty_is_the_sign_and_0_at_0():
    value, gradient = jax.value_and_grad(lambda p: penalties.l1(p, strength=0.5))(PARAMS)
    assert value == pytest.approx(0.5 * 6)
    np.testing.assert_allclose(gradient["dense"]["kernel"], [[0.5, -0.5], [0, 0.5]])


def test_biases_and_scales_are_left_out_by_default_and_rules_choose_otherwise():
    gradient = jax.grad(lambda p: penalties.elastic_net(p, l1=1.0, l2=1.0))(PARAMS)
    for leaf in (gradient["dense"]["bias"], gradient["norm"]["scale"], gradient["norm"]["bias"]):
        assert not leaf.any()
    rules = ((r"norm/.*", 2.0), (r".*", 0.0))
    assert penalties.l2(PARAMS, strength=1.0, rules=rules) == 2 * (81 + 81)


def test_both_penalties_make_up_the_elastic_net():
    parts = penalties.l1(PARAMS, strength=0.3) + penalties.l2(PARAMS, strength=0.7)
    assert penalties.elastic_net(PARAMS, l1=0.3, l2=0.7) == pytest.approx(float(parts), rel=1e-6)


def test_the_optimum_of_sklearns_elastic_net_has_no_slope(rng):
    x, alpha, ratio = rng.standard_normal((40, 3)), 0.1, 0.3
    y = x @ [1.0, 0.0, -2.0] + 0.1 * rng.standard_normal(40)
    w = ElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=False, tol=1e-12).fit(x, y).coef_
    slope = jax.grad(lambda p: penalties.elastic_net(p, l1=alpha * ratio, l2=alpha * (1 - ratio) / 2))
    fit = x.T @ (x @ w - y) / 40
    np.testing.assert_allclose((fit + slope({"kernel": np.float32(w)})["kernel"])[w != 0], 0, atol=1e-6)


def test_a_gradient_stays_finite_where_the_penalty_overflows():
    value, gradient = jax.value_and_grad(lambda p: penalties.l2(p, strength=1.0))({"kernel": np.float32([1e30])})
    assert value == np.inf
    np.testing.assert_allclose(gradient["kernel"], [2e30], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: penalties.l1(PARAMS, strength=-1.0), r"^strength must not be negative, got -1.0$"),
        (lambda: penalties.elastic_net(PARAMS, l1=1.0, l2=np.nan), r"^l2 must not be negative, got nan$"),
        (lambda: penalties.l2(PARAMS, strength=1.0, rules=((r"dense/.*", 1.0),)), r"^every leaf must match a rule of "),
    ],
)
def test_bad_options_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
